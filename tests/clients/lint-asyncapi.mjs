// Prints the errors and warnings of the AsyncAPI parser about a file, one a line. (Severities: 0 error, 1 warning, 2 advice.)
import { createRequire } from "node:module";

const require = createRequire(`${process.cwd()}/package.json`);
const { Parser, fromFile } = require("@asyncapi/parser");
const { document, diagnostics } = await fromFile(new Parser(), process.argv[2]).parse();
for (const each of diagnostics.filter((found) => found.severity < 2)) console.log(each.code, each.path.join("."), each.message);
if (!document) console.log("it could not be read");
