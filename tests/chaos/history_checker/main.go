// Command historychecker judges histories of slots and credits with Porcupine (REL-12).
//
// It reads operations from standard input, one JSON object a line, as makegood_testkit/histories/record.py writes them, and
// prints a verdict as JSON. It exits with 1 if a history is not linearizable, or could not be judged within the time. With
// -show it draws those histories as HTML pages in that folder.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// Operation is a line of the history. Moments are in nanoseconds of one clock.
type Operation struct {
	Model     string `json:"model"`     // slots or credits
	Partition string `json:"partition"` // histories of different partitions do not depend on each other
	Client    int    `json:"client"`
	Kind      string `json:"kind"`
	Called    int64  `json:"called"`
	Returned  *int64 `json:"returned"` // null: nobody knows when, or whether at all
	// Outcome: `done`, `taken`, or `maybe` if nobody knows.
	Outcome string `json:"outcome"`
	Session string `json:"session"`
	Slot    string `json:"slot"`
	// What a read saw, or by how much a balance was changed.
	Slots     []string `json:"slots"`
	Free      []string `json:"free"`
	Available int      `json:"available"`
	Held      int      `json:"held"`
	Amount    int      `json:"amount"`
}

// Verdict is what is printed.
type Verdict struct {
	Operations   int            `json:"operations"`
	Unknown      int            `json:"unknown"`    // operations whose outcome nobody knows
	Partitions   map[string]int `json:"partitions"` // by model
	Longest      int            `json:"longest"`    // operations of the longest partition
	Linearizable bool           `json:"linearizable"`
	Illegal      []string       `json:"illegal"`
	Unjudged     []string       `json:"unjudged"` // the time was not enough
}

var models = map[string]porcupine.Model{"slots": slots, "credits": credits}

func main() {
	patience := flag.Duration("patience", time.Minute, "time for each partition")
	show := flag.String("show", "", "folder for pages that show what is not linearizable")
	flag.Parse()
	verdict, err := judge(os.Stdin, *patience, *show)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(verdict); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if !verdict.Linearizable {
		os.Exit(1)
	}
}

func judge(lines io.Reader, patience time.Duration, show string) (Verdict, error) {
	verdict := Verdict{Partitions: map[string]int{}, Illegal: []string{}, Unjudged: []string{}}
	parts, err := read(lines, &verdict)
	if err != nil {
		return verdict, err
	}
	names := make([]string, 0, len(parts))
	for name := range parts {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		history := parts[name]
		kind, _, _ := strings.Cut(name, " ")
		model, known := models[kind]
		if !known {
			return verdict, fmt.Errorf("no model is called %q", kind)
		}
		verdict.Partitions[kind]++
		if len(history) > verdict.Longest {
			verdict.Longest = len(history)
		}
		result, info := porcupine.CheckOperationsVerbose(model, history, patience)
		switch result {
		case porcupine.Ok:
			continue
		case porcupine.Illegal:
			verdict.Illegal = append(verdict.Illegal, name)
		case porcupine.Unknown:
			verdict.Unjudged = append(verdict.Unjudged, name)
		}
		if show != "" {
			page := filepath.Join(show, strings.NewReplacer("/", "-", " ", "-").Replace(name)+".html")
			if err := porcupine.VisualizePath(model, info, page); err != nil {
				return verdict, err
			}
		}
	}
	verdict.Linearizable = len(verdict.Illegal)+len(verdict.Unjudged) == 0
	return verdict, nil
}

func read(lines io.Reader, verdict *Verdict) (map[string][]porcupine.Operation, error) {
	parts := map[string][]porcupine.Operation{}
	scanner := bufio.NewScanner(lines)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var one Operation
		if err := json.Unmarshal(scanner.Bytes(), &one); err != nil {
			return nil, fmt.Errorf("not an operation: %w: %s", err, scanner.Text())
		}
		returned := int64(math.MaxInt64)
		if one.Returned != nil {
			returned = *one.Returned
		}
		verdict.Operations++
		if one.Outcome == "maybe" {
			verdict.Unknown++
		}
		name := one.Model + " " + one.Partition
		parts[name] = append(parts[name], porcupine.Operation{
			ClientId: one.Client, Input: one, Output: one.Outcome, Call: one.Called, Return: returned,
		})
	}
	return parts, scanner.Err()
}
