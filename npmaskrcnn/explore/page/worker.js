// Python in the browser: this worker starts Pyodide, unpacks the package, and answers what the page asks with the same
// api.py that answers in `npmaskrcnn explore`. All files lie beside this one (docs/build_book.py puts them there), and
// nothing is asked of another host. What goes to and fro is said in transport.js.

const ROOT = "/home/pyodide"; // where Python looks for packages first

const START = `
from npmaskrcnn.explore import Explorer
from pyodide.ffi import to_js

explorer = Explorer()

def reply(request, blob):
    return to_js(explorer.reply(request.encode(), blob.to_bytes() if blob else b""))

reply
`;

const say = progress => postMessage({progress});

/** Fetch one of the files beside this one. */
async function fetched(name) {
  const response = await fetch(new URL(name, import.meta.url));
  if (!response.ok) throw new Error(`${name} cannot be loaded (${response.status})`);
  return response;
}

/** Start Python; gives the function reply(request, blob) -> bytes. */
async function start() {
  say("Python is on its way (up to 20 MB the first time) …");
  const [{loadPyodide}, parts] = await Promise.all([import("./pyodide/pyodide.mjs"),
    Promise.all([fetched("npmaskrcnn.zip").then(response => response.arrayBuffer()),
      fetched("weights.json").then(response => response.json())])]);
  const [archive, weights] = parts;
  const python = await loadPyodide({
    indexURL: new URL("pyodide/", import.meta.url).href, packages: ["numpy"], env: {HOME: ROOT}});
  say("Python is here, and reads the package …");
  python.unpackArchive(archive, "zip", {extractDir: ROOT});
  for (const name of weights) { // fetched when somebody wants to see that model
    python.FS.createLazyFile(`${ROOT}/npmaskrcnn/data`, name, new URL(`weights/${name}`, import.meta.url).href, true,
      false);
  }
  return python.runPython(START);
}

const started = start();
started.catch(() => {}); // said to whoever asks

onmessage = async ({data: {id, request, blob}}) => {
  try {
    const message = (await started)(request, blob).buffer;
    postMessage({id, message}, [message]);
  } catch (error) {
    // Of a Python error, the last line says what it was.
    const line = String(error.message ?? error).trim().split("\n").at(-1);
    postMessage({id, failed: `Python in the browser failed: ${line}`});
  }
};
