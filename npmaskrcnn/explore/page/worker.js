// Python in the browser: this worker starts Pyodide, with the package among Python's files, and answers what the page
// asks with the same api.py that answers in `npmaskrcnn explore`. All files lie beside this one (docs/build_book.py
// puts them there), and nothing is asked of another host. What goes to and fro is said in transport.js.

import {unpack} from "./transport.js";

const START = `
from npmaskrcnn.explore import Explorer
from pyodide.ffi import to_js

explorer = Explorer()

def reply(request, blob):
    return to_js(explorer.reply(request.encode(), blob.to_bytes() if blob else b""))

reply
`;

const say = progress => postMessage({progress});

/** Address of one of the files beside this one. */
const beside = name => new URL(name, import.meta.url).href;

/** All that is Python: the standard library, NumPy and the package, by name, and which weights can be fetched later. */
async function pythonsFiles() {
  const name = "python.bin", response = await fetch(beside(name));
  if (!response.ok) throw new Error(`${name} cannot be loaded (${response.status})`);
  const whole = response.body.pipeThrough(new DecompressionStream("gzip"));
  return unpack(await new Response(whole).arrayBuffer());
}

/** Put them where Python looks for its library: it need not unpack anything itself. */
function install(FS, library, {answer, arrays}) {
  for (const [name, {data}] of Object.entries(arrays)) {
    const path = `${library}/${name}`;
    FS.mkdirTree(path.slice(0, path.lastIndexOf("/")));
    FS.writeFile(path, data, {canOwn: true});
  }
  for (const name of answer.later) { // fetched when somebody wants to see that model
    FS.createLazyFile(`${library}/site-packages/npmaskrcnn/data`, name, beside(`weights/${name}`), true, false);
  }
}

/** Start Python; gives the function reply(request, blob) -> bytes. */
async function start() {
  say("Python is on its way (up to 20 MB the first time) …");
  const files = pythonsFiles(); // while the runtime comes
  const [python] = await Promise.all([
    import("./pyodide/pyodide.mjs").then(({loadPyodide}) => loadPyodide({indexURL: beside("pyodide/"),
      fsInit: async (FS, {sitePackages}) => install(FS, sitePackages.replace("/site-packages", ""), await files)})),
    files]);
  say("Python is here, and reads the package …");
  return python.runPython(START);
}

// What breaks inside the runtime while it starts is told to nobody but the worker.
const broken = new Promise((_, reject) => { addEventListener("unhandledrejection", ({reason}) => reject(reason)); });
const started = Promise.race([start(), broken]);
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
