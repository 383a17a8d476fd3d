// Turns the Python files of a folder into bytecode, a .pyc beside each .py, by the very Python that will read it:
//     node compile.mjs DISTRIBUTION FOLDER
// What is only there for readers, docstrings and asserts, stays out of it, as with python -OO.
import {pathToFileURL} from "node:url";

const [distribution, folder] = process.argv.slice(2);
const {loadPyodide} = await import(pathToFileURL(`${distribution}/pyodide.mjs`));
const python = await loadPyodide({indexURL: `${distribution}/`});
python.mountNodeFS("/folder", folder);
python.runPython(`
import compileall, py_compile
compileall.compile_dir("/folder", quiet=2, stripdir="/folder", legacy=True, optimize=2,
                       invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)`);
