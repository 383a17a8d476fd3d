"""What runs in WebAssembly: the tests, or predictions by the clock.

`wasm_node.py` starts it there, with an order, and it tells in lines of JSON how it is getting on.
"""

import contextlib
import doctest
import io
import json
import re
import sys
import time

BEGIN = time.perf_counter()


def tell(*words):
    """Say something to the process outside, past what pytest catches."""
    print(json.dumps(words), file=sys.__stdout__, flush=True)


# ---- the tests ----


def run_tests(places, begun, left_out):
    """Run the tests in some files and folders; tell when each begins, what came of it and why.

    Parameters
    ----------
    places : list of str
    begun : int
        So many tests have begun in processes before this one, which goes on behind them. (Names do not tell: some have
        addresses in them, which are others in each process.)
    left_out : dict
        Patterns of the names of tests that cannot be run here, and what they lack.
    """
    import pytest

    class Teller:
        def pytest_collection_modifyitems(self, items):
            kept = []
            for item in items:
                lack = next((lack for pattern, lack in left_out.items() if re.search(pattern, item.nodeid)), None)
                if lack is None:
                    kept.append(item)
                elif begun == 0:
                    tell("cannot", item.nodeid, [lack])
            items[:] = kept[begun:]

        def pytest_collectreport(self, report):
            if report.failed:
                tell("failed", report.nodeid, [str(report.longrepr).strip().splitlines()[-1]])

        def pytest_runtest_logstart(self, nodeid):
            tell("begin", nodeid)

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(self, call):
            report = yield
            report.errors = [] if call.excinfo is None else chain(call.excinfo.value)
            return report

        def pytest_runtest_logreport(self, report):
            if report.skipped or report.failed or report.when == "call":
                tell(report.outcome, report.nodeid, report.errors)

    with contextlib.redirect_stdout(io.StringIO()):     # its own report would share lines with what is told
        code = pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:faulthandler", "--capture=sys", "--tb=short",
                            "-m", "not notebook", *places], plugins=[Teller()])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise SystemExit(f"pytest gave up: {code!r}")


def chain(error):
    """List an error and those that led to it, in words."""
    words = []
    while error is not None and len(words) < 10:
        words.append(f"{type(error).__name__}: {error}"[:1000])
        if isinstance(error, doctest.DocTestFailure):
            want, got = (re.sub(r", *dtype=int(32|64)|\s", "", text) for text in (error.example.want, error.got))
            words[-1] = f"DocTestFailure: {'another width of whole numbers' if want == got else error.got}"
        error = error.__cause__ or error.__context__
    return words


# ---- predictions ----


def time_predictions(repeats, steps):
    """Tell how long the first answer takes, then the next ones, with either product by turns; store what is found."""
    from npmaskrcnn.datasets.shapes import the_image
    from npmaskrcnn.shipped import trained_tiny
    tell("seconds", "import", time.perf_counter() - BEGIN)
    import numpy as np

    from npmaskrcnn.fast.product import product_of_rows
    model, (image, target) = trained_tiny(), the_image()
    model.predict(image)
    tell("seconds", "import, weights, first prediction", time.perf_counter() - BEGIN)
    users = [module for name, module in sys.modules.items()
             if name.startswith("npmaskrcnn.fast.") and not name.endswith(".product") and hasattr(module, "product")]
    ways = {"einsum": product_of_rows, "matmul": np.matmul}
    work = {"prediction": lambda: model.predict(image), "gradients": lambda: model.loss_and_grads(
        [image], [target], np.random.default_rng(0), batch_statistics=False)}
    for what, times in (("prediction", repeats), ("gradients", steps)):
        for _ in range(times):
            for way, product in ways.items():
                for module in users:
                    module.product = product
                began = time.perf_counter()
                answer = work[what]()
                tell("time", what, way, time.perf_counter() - began)
                if what == "prediction":
                    np.savez(f"/exchange/{way}.npz", boxes=answer.boxes, labels=answer.labels, scores=answer.scores,
                             masks=answer.masks)


if __name__ == "__main__":
    with open("/exchange/order.json", encoding="utf-8") as file:
        order = json.load(file)
    {"tests": run_tests, "predictions": time_predictions}[order.pop("do")](**order)
