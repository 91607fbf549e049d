"""The house keeps its shape: one-way imports, light start, nothing that hides the standard library."""

import ast
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run_python(code: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, **kwargs)


@pytest.mark.parametrize("folder", ["platform", "model", "experiments", "dashboards", "tests", "."])
def test_source_roots_hold_no_init_file(folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists(), f"{folder}/__init__.py would shadow another module"


@pytest.mark.parametrize("folder", ["platform", "model"])
def test_source_roots_hold_only_packages_and_readmes(folder: str) -> None:
    # the editable install puts both folders on sys.path: a loose module there would be importable everywhere
    assert [path.name for path in (ROOT / folder).glob("*.py")] == []


def test_platform_from_the_root_is_the_standard_library() -> None:
    result = run_python("import platform; print(platform.system())", cwd=ROOT)

    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() != ""


def test_help_imports_neither_torch_nor_ray() -> None:
    code = (
        "import sys\nfrom ovlab.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'ray', 'mlflow', 'open_clip', 'numba', 'pandas', 'pyarrow'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    result = run_python(code)

    assert result.returncode == 0, result.stderr
    assert "usage: ovlab" in result.stdout


def test_nothing_that_workers_run_exits_the_process() -> None:
    # Ray takes an exit for a crash, and tries again.
    own_processes = ("cli.py", "__main__.py", "tracking/publisher.py", "datasets/workers.py")
    package = ROOT / "platform" / "ovlab"
    files = [*package.rglob("*.py"), *(ROOT / "model").rglob("*.py")]
    exits = {"sys.exit", "os._exit", "exit", "quit", "SystemExit"}
    calls = [
        f"{file}:{node.lineno}"
        for file in files
        if not str(file).endswith(own_processes)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in exits
    ]

    assert calls == []


@pytest.mark.parametrize(
    ("names", "because"),
    [
        (("CheckpointConfig", "num_to_keep"), "Ray Train deletes the best checkpoint while its score is pending"),
        (("get_best_result",), "Ray Tune picks trials without a last loss and skips those whose last is NaN"),
        (("training_iteration",), "reported to Ray Tune, it replaces the counter of its stop criterion"),
        (("with_column", "col"), "Ray Data divides whole numbers differently on Arrow and on pandas blocks"),
        (("features_only", "out_indices"), "timm names maps in one order and returns them in another"),
        (("output_tokens", "create_model"), "open_clip raises for it; timm resamples no positions"),
        (("MeanIoU",), "its value depends on the size of the batch"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_calls_of_libraries_that_do_other_than_they_say_are_not_made(names: tuple[str, ...], because: str) -> None:
    files = [*(ROOT / "platform").rglob("*.py"), *(ROOT / "model").rglob("*.py")]
    used = [
        f"{file}:{node.lineno}"
        for file in files
        if "benchmarks" not in file.parts
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ({ast.unparse(node.func).rpartition(".")[2], *(word.arg for word in node.keywords)} & {*names})
    ]

    assert used == [], because


def test_kernels_call_nothing_of_another_file() -> None:
    # numba's cache goes by the content of the file, and does not see an edit of a callee elsewhere.
    kernels, foreign = [], []
    for file in [*(ROOT / "platform").rglob("*.py"), *(ROOT / "model").rglob("*.py")]:
        nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
        imports = [node for node in nodes if isinstance(node, ast.ImportFrom)]
        ours = {
            name.asname or name.name
            for node in imports
            for name in node.names
            if (node.module or "").split(".")[0] in ("ovlab", "logoseg")
        }
        for node in nodes:
            if isinstance(node, ast.FunctionDef) and any("njit" in ast.unparse(one) for one in node.decorator_list):
                kernels.append(node.name)
                used = {one.id for statement in node.body for one in ast.walk(statement) if isinstance(one, ast.Name)}
                foreign += [f"{file}:{node.name}: {name}" for name in sorted(used & ours)]

    assert len(kernels) >= 10
    assert foreign == []


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("ovlab.ray.tuner", ("torch", "open_clip")),
        ("ovlab.ray.trainer", ("open_clip",)),
        ("ovlab.sweeps.making", ("torch", "open_clip", "ray", "mlflow")),
    ],
)
def test_who_starts_work_does_not_import_it(module: str, heavy: tuple[str, ...]) -> None:
    result = run_python(f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])")

    assert (result.returncode, result.stdout.strip()) == (0, "[]"), result.stderr


def test_evaluate_imports_neither_sweeps_nor_ray() -> None:
    result = run_python(
        "import sys, ovlab.commands.scoring\n"
        "print([name for name in sys.modules if name.startswith(('ovlab.sweeps', 'ovlab.ray.pipeline', 'ray.'))])"
    )

    assert (result.returncode, result.stdout.strip()) == (0, "[]"), result.stderr


def test_help_answers_in_under_a_second() -> None:
    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run_python("from ovlab.cli import main; main(['--help'])")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # of the processor, because on a busy machine the clock says nothing about the program
    assert min(seconds() for _ in range(3)) < 1.0


@pytest.mark.parametrize(
    "module", ["logoseg.config", "logoseg.presets", "ovlab.specs.training", "ovlab.specs.evaluation"]
)
def test_specs_load_without_torch(module: str) -> None:
    result = run_python(f"import sys, {module}; sys.exit('torch' in sys.modules)")

    assert result.returncode == 0, f"{module} imports torch"


def test_imports_run_one_way() -> None:
    executable = Path(sys.executable).parent / "lint-imports"
    result = subprocess.run([executable], cwd=ROOT, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout


def test_only_the_ray_folder_imports_ray_and_only_tracking_imports_mlflow() -> None:
    for path in (ROOT / "platform" / "ovlab").rglob("*.py"):
        text = path.read_text()
        if path.parent.name != "ray":
            assert "import ray" not in text, path
            assert "from ray" not in text, path
        if path.parent.name != "tracking":
            assert "import mlflow" not in text, path
            assert "from mlflow" not in text, path


def test_no_module_name_is_there_twice() -> None:
    modules = [path for root in ("platform", "model") for path in (ROOT / root).rglob("*.py") if path.stem[0] != "_"]
    stems = [path.stem for path in modules]

    assert {stem for stem in stems if stems.count(stem) > 1} == set()


def test_ovlab_holds_no_loose_module_but_its_command_line() -> None:
    loose = {path.name for path in (ROOT / "platform" / "ovlab").glob("*.py")}

    assert loose == {"__init__.py", "__main__.py", "cli.py"}


def test_no_public_function_takes_more_than_eight_parameters() -> None:
    wide = []
    for root in ("platform", "model"):
        for path in (ROOT / root).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                    if len([one for one in arguments if one.arg not in ("self", "cls")]) > 8 and not _is_compiled(node):
                        wide.append(f"{path.relative_to(ROOT)}:{node.name}")

    assert wide == []


def _is_compiled(function: ast.FunctionDef) -> bool:
    """Numba's kernels take arrays, not objects."""
    return any("njit" in ast.unparse(decorator) for decorator in function.decorator_list)


def test_files_are_read_by_nothing_that_may_run_what_is_in_them() -> None:
    """ray/trainer.py alone unpickles: the error of a worker of its own."""
    found = []
    for path in [path for root in ("platform", "model") for path in (ROOT / root).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            call = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if call in ("torch.load", "torch.jit.load") and "weights_only=True" not in ast.unparse(node):
                found.append(f"{path.name}: {call}")
            if call.endswith(("pickle.load", "pickle.loads", "hub.load", "joblib.load")):
                found.append(f"{path.name}: {call}")

    assert found == ["trainer.py: cloudpickle.loads"]
