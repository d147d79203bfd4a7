package main

import (
	"fmt"
	"sort"
	"strings"

	"github.com/anishathalye/porcupine"
)

// An operation with the outcome `maybe` takes effect if it can when its turn comes. As it never returned, its turn may be after
// everything else, which is as if it had never happened.

// slots: which session holds each slot of a provider. A slot that is not in the map is free.
var slots = porcupine.Model{
	Init: func() interface{} { return map[string]string{} },
	Step: func(state, input, _ interface{}) (bool, interface{}) {
		return stepSlots(state.(map[string]string), input.(Operation))
	},
	Equal: func(one, other interface{}) bool { return text(one.(map[string]string)) == text(other.(map[string]string)) },
	DescribeOperation: func(input, _ interface{}) string {
		one := input.(Operation)
		if one.Kind == "read" {
			return fmt.Sprintf("free: %s", strings.Join(one.Free, ", "))
		}
		return fmt.Sprintf("%s %s %s: %s", one.Kind, one.Session, one.Slot, one.Outcome)
	},
	DescribeState: func(state interface{}) string { return text(state.(map[string]string)) },
}

func stepSlots(held map[string]string, one Operation) (bool, map[string]string) {
	maybe := one.Outcome == "maybe"
	holder := held[one.Slot]
	taken := holder != "" && holder != one.Session
	from := slotOf(held, one.Session)
	switch one.Kind {
	case "book", "move":
		if one.Outcome == "taken" {
			return taken, held
		}
		if one.Kind == "move" && from != "" && from == one.Slot {
			return true, held // it is there already
		}
		if taken || (one.Kind == "move") != (from != "") {
			return maybe, held
		}
		return true, with(held, one.Slot, one.Session, from)
	case "release":
		if from == "" {
			return maybe, held
		}
		return true, with(held, "", "", from)
	case "read":
		free := map[string]bool{}
		for _, slot := range one.Free {
			free[slot] = true
		}
		for _, slot := range one.Slots {
			if free[slot] != (held[slot] == "") {
				return false, held
			}
		}
		return true, held
	}
	return false, held
}

func slotOf(held map[string]string, session string) string {
	for slot, holder := range held {
		if holder == session {
			return slot
		}
	}
	return ""
}

// with: the session holds `slot`, if one is given, and no longer `from`.
func with(held map[string]string, slot, session, from string) map[string]string {
	changed := make(map[string]string, len(held)+1)
	for other, holder := range held {
		if other != from {
			changed[other] = holder
		}
	}
	if slot != "" {
		changed[slot] = session
	}
	return changed
}

func text(held map[string]string) string {
	words := make([]string, 0, len(held))
	for slot, holder := range held {
		words = append(words, slot+"="+holder)
	}
	sort.Strings(words)
	return strings.Join(words, " ")
}

// account: what a member can use, and the sessions for which a credit is held, each once.
type account struct {
	available int
	holding   string
}

func (one account) holds(session string) bool { return strings.Contains(one.holding, " "+session+" ") }

func (one account) held() int { return len(strings.Fields(one.holding)) }

// credits: a counter per member.
var credits = porcupine.Model{
	Init: func() interface{} { return account{} },
	Step: func(state, input, _ interface{}) (bool, interface{}) {
		return stepCredits(state.(account), input.(Operation))
	},
	DescribeOperation: func(input, _ interface{}) string {
		one := input.(Operation)
		switch one.Kind {
		case "read":
			return fmt.Sprintf("%d available, %d held", one.Available, one.Held)
		case "start", "add":
			return fmt.Sprintf("%s %d: %s", one.Kind, one.Amount, one.Outcome)
		}
		return fmt.Sprintf("%s %s: %s", one.Kind, one.Session, one.Outcome)
	},
	DescribeState: func(state interface{}) string {
		one := state.(account)
		return fmt.Sprintf("%d available, held for%s", one.available, one.holding)
	},
}

func stepCredits(now account, one Operation) (bool, account) {
	maybe := one.Outcome == "maybe"
	switch one.Kind {
	case "start", "add":
		if now.available+one.Amount < 0 {
			return maybe, now
		}
		return true, account{now.available + one.Amount, now.holding}
	case "hold":
		if now.available == 0 || now.holds(one.Session) {
			return maybe, now
		}
		sessions := append(strings.Fields(now.holding), one.Session)
		return true, account{now.available - 1, joined(sessions)}
	case "return":
		if !now.holds(one.Session) {
			return maybe, now
		}
		rest := strings.Fields(strings.Replace(now.holding, " "+one.Session+" ", " ", 1))
		return true, account{now.available + 1, joined(rest)}
	case "read":
		return now.available == one.Available && now.held() == one.Held, now
	}
	return false, now
}

func joined(sessions []string) string {
	sort.Strings(sessions)
	return " " + strings.Join(sessions, " ") + " "
}
