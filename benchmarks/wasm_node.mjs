// What wasm_node.py starts: Python in WebAssembly, in which a program of this checkout runs.
//     node wasm_node.mjs DISTRIBUTION CHECKOUT EXCHANGE PACKAGES PROGRAM
// PACKAGES are names and paths of wheels, with commas between; PROGRAM is a path within the checkout.
import { pathToFileURL } from "node:url";

const [distribution, checkout, exchange, packages, program] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${distribution}/pyodide.mjs`));
const python = await loadPyodide({ indexURL: `${distribution}/`, env: { PYTHONDONTWRITEBYTECODE: "1",
                                             PYTHONHASHSEED: "0", HOME: "/tmp" } });
await python.loadPackage(packages.split(","), { messageCallback: () => {} });
python.mountNodeFS("/checkout", checkout);
python.mountNodeFS("/exchange", exchange);
try {
    python.runPython(`import os, runpy, sys
os.chdir("/checkout")
sys.path.insert(0, "/checkout")
runpy.run_path("${program}", run_name="__main__")`);
} catch (error) {       // of an error that Node shows itself, it shows a megabyte of the runtime's source, too
    console.error(error.message);
    process.exit(1);
}
