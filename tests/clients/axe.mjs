// Reads [{name, url, do?}] on stdin, opens each page in Chromium and prints what axe-core finds, as JSON: {name: [finding, …]}.
// `do`: a script that is run in the page first. Screenshots go into the folder of the second argument.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(`${process.cwd()}/package.json`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const [program, folder] = process.argv.slice(2);

const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox"] });
const findings = {};
const pages = JSON.parse(readFileSync(0, "utf8"));

async function look(page, tab, errors) {
  errors.length = 0;
  const answer = await tab.goto("about:blank").then(() => tab.goto(page.url, { waitUntil: "load" }));
  if (!answer.ok()) errors.push(`status ${answer.status()}`);
  if (page.do) await tab.evaluate(page.do);
  await tab.evaluate(axe);
  const { violations } = await tab.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  if (folder) await tab.screenshot({ path: `${folder}/${page.name}.png` });
  const found = violations.flatMap((each) => each.nodes.map((node) => `${each.id}: ${node.target.join(" ")}: ${node.failureSummary}`));
  findings[page.name] = [...errors, ...found];
}

const tab = await browser.newPage({ viewport: { width: 1280, height: 900 }, bypassCSP: true });
tab.setDefaultTimeout(20_000);
const errors = [];
tab.on("pageerror", (error) => errors.push(`script: ${error.message}`));
tab.on("console", (said) => said.type() === "error" && errors.push(`console: ${said.text()} ${said.location().url}`));
for (const page of pages) {
  const begun = Date.now();
  await look(page, tab, errors);
  process.stderr.write(`${page.name}: ${Date.now() - begun} ms\n`);
}
await browser.close();
process.stdout.write(JSON.stringify(findings));
