// Reads workflow and action files with GitHub's own parser; prints {file: [error, …]} as JSON.
// Called as `node parse.mjs FOLDER FILE…`, where FOLDER holds node_modules.
import { readFileSync } from "node:fs";
import { register } from "node:module";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";

// The package imports JSON without saying so, which bundlers accept and Node does not.
const hook = `export const load = (url, context, next) =>
  next(url, url.endsWith(".json") ? { ...context, importAttributes: { type: "json" } } : context);`;
register("data:text/javascript," + encodeURIComponent(hook));

const [folder, ...files] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(join(folder, "node_modules/@actions/workflow-parser/dist", path)));
const { parseWorkflow, convertWorkflowTemplate, NoOperationTraceWriter } = await load("index.js");
const { parseAction } = await load("actions/action-parser.js");
const { convertActionTemplate } = await load("actions/action-template.js");

const found = {};
for (const file of files) {
  const isAction = /^action\.ya?ml$/.test(basename(file));
  const result = (isAction ? parseAction : parseWorkflow)({ name: file, content: readFileSync(file, "utf8") }, new NoOperationTraceWriter());
  if (result.value) {
    await (isAction ? convertActionTemplate : convertWorkflowTemplate)(result.context, result.value);
  }
  found[file] = result.context.errors.getErrors().map((error) => error.message);
}
console.log(JSON.stringify(found));
