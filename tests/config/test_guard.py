"""What configs may not name, set or read: told by text alone, each with its key and the place it stands."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig

from llm_lab.config.compose import compose
from llm_lab.config.fault import Fault
from llm_lab.config.guard import hydra_faults

Look = Callable[..., dict[str, Fault]]
PACK = "experiments/p/experiment/x.yaml"
HEAD = "# @package _global_\n# A test.\n"


@pytest.fixture
def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    """Compose words in a folder of these files; give the faults of safety by key, the first of each."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)  # no job runs

    def faults(*words: str, **files: str) -> dict[str, Fault]:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        composed = compose(words)
        found: dict[str, Fault] = {}
        for fault in hydra_faults(composed.config, composed.origins):
            found.setdefault(fault.key, fault)
        return found

    return faults


def pack(text: str) -> dict[str, str]:
    return {PACK: HEAD + text}


@pytest.mark.parametrize("words", [[], ["+experiment=sentiment"], ["+experiment=sentiment", "+debug=smoke"]])
def test_what_we_ship_has_no_fault(look: Look, words: list[str]) -> None:
    assert look(*words) == {}


def test_it_needs_no_heavy_import(tmp_path: Path) -> None:
    code = (
        "import sys; from llm_lab.config.compose import compose;"
        "from llm_lab.config.guard import hydra_faults;"
        "c = compose(['+experiment=sentiment', 'optimizer._target_=os.system']);"
        "assert hydra_faults(c.config, c.origins);"
        "heavy = {'torch', 'transformers', 'pytorch_lightning', 'datasets', 'pyarrow', 'pandas', 'numpy'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_target_that_is_not_allowed_names_key_line_and_the_nearest(look: Look) -> None:
    faults = look("+experiment=x", **pack("optimizer:\n  _target_: torch.optin.AdamW\n"))
    fault = faults["optimizer._target_"]
    assert fault.message.startswith("torch.optin.AdamW is not allowed (targets are of llm_lab, torch.nn, ")
    assert fault.where == f"{PACK}:4"
    assert fault.suggestion == "did you mean `torch.optim.AdamW`?"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("model: {wrappers: {a: {_target_: os.system}}}", "model.wrappers.a._target_"),
        ("task: {metrics: {a: {x: [1, {_target_: os.system}]}}}", "task.metrics.a.x.1._target_"),
        ("anything: {at: {all: {_target_: os.system}}}", "anything.at.all._target_"),
        ("where: os.system\noptimizer: {_target_: '${where}'}", "optimizer._target_"),
        ("a: os\noptimizer: {_target_: '${a}.system'}", "optimizer._target_"),
        ("optimizer: '${oc.create:{_target_: os.system}}'", "optimizer._target_"),
        ("optimizer: {x: '${oc.create:{y: {_target_: os.system}}}'}", "optimizer.x.y._target_"),
        ("optimizer: {x: '${oc.decode:\"{_target_: os.system}\"}'}", "optimizer.x._target_"),
        ("optimizer: {_target_: [os.system]}", "optimizer._target_"),
    ],
)
def test_a_target_is_found_wherever_and_however_it_stands(look: Look, text: str, key: str) -> None:
    faults = look("+experiment=x", **pack(text))
    assert "system" in faults[key].message
    assert faults[key].where.startswith(PACK)


@pytest.mark.parametrize("name", ["_args_", "_partial_", "_recursive_", "_convert_"])
def test_how_to_build_is_not_for_configs(look: Look, name: str) -> None:
    faults = look(f"+optimizer.{name}=[]", "optimizer.lr=oops")
    assert faults[f"optimizer.{name}"].message == "is not allowed (a config says what is built, not how)"
    assert faults[f"optimizer.{name}"].where == f"+optimizer.{name}=[]"


def test_circular_and_broken_interpolations_stop_nothing(look: Look) -> None:
    text = "a: {b: '${a}', c: '${d}'}\nd: '${a}'\ne: '${nothing}'\nf: '${oc.create:{g: ${f}}}'\n"
    text += "z: {_target_: os.system}"
    assert list(look("+experiment=x", **pack(text))) == ["z._target_", "f"]


def test_an_admitted_package_is_no_fault_and_a_wrong_admission_is_one(
    look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_LAB_ALLOW", "mine")
    assert look("optimizer._target_=mine.optim.sgd") == {}
    monkeypatch.setenv("LLM_LAB_ALLOW", "os")
    assert (
        look("optimizer._target_=mine.optim.sgd")[""].message == "LLM_LAB_ALLOW: os is not a package of yours"
    )


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("+hydra.callbacks.x._target_=os.system", "hydra.callbacks.x._target_"),
        ("+hydra.callbacks.x._target_=llm_lab.optim.optimizers.adamw", "hydra.callbacks.x._target_"),
        ("+hydra.callbacks.x={a:{_target_:os.system}}", "hydra.callbacks.x.a._target_"),
        ("+hydra.callbacks.x='${optimizer}'", "hydra.callbacks.x._target_"),
        ("+hydra.callbacks.x='${hydra:job.name}'", "hydra.callbacks.x"),
        ("+hydra.callbacks.x._args_=[1]", "hydra.callbacks.x._args_"),
        ("hydra.sweeper._target_=os.system", "hydra.sweeper._target_"),
        ("+hydra.sweeper.sampler._target_=os.system", "hydra.sweeper.sampler._target_"),
        ("+hydra.sweeper.custom_search_space=os.system", "hydra.sweeper.custom_search_space"),
        ("hydra.launcher._target_=hydra_plugins.evil.Launcher", "hydra.launcher._target_"),
        (
            "hydra.launcher._target_=hydra_plugins.hydra_ray_launcher.ray_aws_launcher.RayAWSLauncher",
            "hydra.launcher._target_",
        ),
        ("hydra.job_logging.handlers.file.class=os.system", "hydra.job_logging.handlers.file.class"),
        (
            "hydra.job_logging.handlers.file.class=logging.handlers.SMTPHandler",
            "hydra.job_logging.handlers.file.class",
        ),
        ("+hydra.job_logging.handlers.x.queue=os.system", "hydra.job_logging.handlers.x.queue"),
        ("+hydra.job_logging.handlers.x.a.b=ext://os.system", "hydra.job_logging.handlers.x.a.b"),
        ("+hydra.job_logging.x=[cfg://handlers]", "hydra.job_logging.x.0"),
        ("hydra.job_logging.handlers.console.stream='ext:${x}'", "hydra.job_logging.handlers.console.stream"),
        ("+hydra.hydra_logging.handlers.x.class=os.system", "hydra.hydra_logging.handlers.x.class"),
        ("+hydra.job.env_set.LLM_LAB_ALLOW=subprocess", "hydra.job.env_set.LLM_LAB_ALLOW"),
        (
            "+hydra.job.env_set.HYDRA_INSTANTIATE_ALLOWLIST_OVERRIDE=os.system",
            "hydra.job.env_set.HYDRA_INSTANTIATE_ALLOWLIST_OVERRIDE",
        ),
    ],
)
def test_what_hydra_would_build_comes_from_a_fixed_list(look: Look, word: str, key: str) -> None:
    fault = look("++x=//os.system", word)[key]
    assert fault.where == word
    assert "not allowed" in fault.message or "cannot be resolved" in fault.message


def test_a_logging_factory_is_refused_in_a_file_of_the_users(look: Look) -> None:
    text = 'version: 1\nhandlers:\n  x: {"()": os.system, ".": {name: y}}\nroot: {handlers: [x]}\n'
    faults = look("hydra/job_logging=mine", **{"conf/hydra/job_logging/mine.yaml": text})
    assert faults["hydra.job_logging.handlers.x.()"].where == "conf/hydra/job_logging/mine.yaml:3"
    assert "Python objects" in faults["hydra.job_logging.handlers.x.."].message
    assert "may not be set here" in faults["hydra.job_logging.handlers"].message


@pytest.mark.parametrize(
    "word",
    [
        "hydra/launcher=joblib",
        "hydra/launcher=submitit_slurm",
        "hydra/launcher=submitit_local",
        "hydra/launcher=ray",
        "hydra/job_logging=default",
        "hydra/job_logging=stdout",
        "hydra/hydra_logging=default",
        "hydra.job_logging.handlers.console.stream=ext://sys.stdout",
        "hydra.run.dir=/tmp/x",
        "hydra.sweep.dir=/tmp/x",
        "hydra.job.name=mine",
        "+hydra.job.env_set.OMP_NUM_THREADS=1",
    ],
)
def test_what_a_user_of_hydra_expects_is_allowed(look: Look, word: str) -> None:
    assert look(word) == {}


FORBIDDEN = {
    "hydra.callbacks": "callbacks: {x: {_target_: hydra.experimental.callbacks.LogJobReturnCallback}}",
    "hydra.job_logging": "job_logging: {root: {level: DEBUG}}",
    "hydra.hydra_logging": "hydra_logging: {root: {level: DEBUG}}",
    "hydra.verbose": "verbose: true",
    "hydra.mode": "mode: MULTIRUN",
    "hydra.output_subdir": "output_subdir: x",
    "hydra.job.env_set": "job: {env_set: {PATH: x}, env_copy: [PATH], chdir: true}",
    "hydra.help": "help: {template: x}",
}


@pytest.mark.parametrize(
    "folder", ["conf/experiment", "conf/ablate", "experiments/p/size", "experiments/p/model"]
)
def test_files_of_others_set_only_a_few_things_of_hydras(look: Look, folder: str) -> None:
    file, group = f"{folder}/x.yaml", folder.rpartition("/")[2]
    text = "# @package _global_\nhydra:\n" + "".join(f"  {line}\n" for line in FORBIDDEN.values())
    faults = look("model=x" if group == "model" else f"+{group}=x", **{file: text})
    for line, key in enumerate(FORBIDDEN, 3):
        assert faults[key].message == (
            "may not be set here (experiments, packs and your conf/ set only hydra.run, hydra.sweep, "
            "hydra.sweeper, hydra.launcher, hydra.job.name)"
        )
        assert faults[key].where == f"{file}:{line}"
    assert {"hydra.job.env_copy", "hydra.job.chdir"} <= set(faults)


def test_an_experiment_that_we_ship_is_bound_as_well(tmp_path: Path, look: Look) -> None:
    from llm_lab.config.fault import Origin
    from llm_lab.config.pack_rules import pack_faults

    ours = Origin(file=tmp_path / "x.yaml", line=1, scope="ours", config="experiment/x")
    assert [fault.key for fault in pack_faults({"hydra.verbose": ours})] == ["hydra.verbose"]
    assert list(pack_faults({"hydra.mode": ours})) == []  # `+ablate=modalities` is a sweep by itself


def test_files_of_others_may_set_where_and_how_a_sweep_runs(look: Look) -> None:
    text = """defaults: [override /hydra/launcher: submitit_slurm]
hydra:
  run: {dir: out}
  sweep: {dir: outs, subdir: a}
  job: {name: mine}
  sweeper: {params: {optimizer.lr: "1e-3,1e-4"}}
  launcher: {partition: gpu, timeout_min: 10}
"""
    assert look("+experiment=x", **pack(text)) == {}


@pytest.mark.parametrize(
    ("launcher", "text", "key"),
    [
        ("submitit_slurm", "setup: [touch canary]", "hydra.launcher.setup"),
        ("submitit_slurm", "additional_parameters: {wrap: x}", "hydra.launcher.additional_parameters"),
        ("submitit_slurm", 'partition: "gpu\\ntouch canary"', "hydra.launcher.partition"),
        ("ray", "ray: {init: {address: ray://stranger}}", "hydra.launcher.ray.init.address"),
        ("ray", "ray: {remote: {runtime_env: {pip: [x]}}}", "hydra.launcher.ray.remote.runtime_env"),
    ],
)
def test_a_pack_gives_a_launcher_no_commands(look: Look, launcher: str, text: str, key: str) -> None:
    file = f"defaults: [override /hydra/launcher: {launcher}]\nhydra: {{launcher: {{{text}}}}}\n"
    assert key in look("+experiment=x", **pack(file))
    assert not look("+experiment=y", **{"conf/experiment/y.yaml": HEAD + file})


@pytest.mark.parametrize(
    "key", ["hydra.verbose", "+hydra.callbacks.x._target_", "hydra/job_logging", "++hydra.mode"]
)
def test_a_sweep_does_not_reach_hydras_own_node(look: Look, key: str) -> None:
    text = f"hydra: {{sweeper: {{params: {{'{key}': x}}}}}}"
    assert f"hydra.sweeper.params.{key}" in look("+experiment=x", **pack(text))


def test_search_paths_are_for_the_command_line(look: Look) -> None:
    assert look("hydra.searchpath=[file:///tmp]") == {}
    composed = compose(["+experiment=x"], cwd=Path.cwd())
    assert composed.faults
    look("+experiment=x", **pack("hydra: {searchpath: [pkg://evil]}"))
    assert "hydra.searchpath" in str(compose(["+experiment=x"]).faults[0])


def test_a_root_config_of_others_adds_no_search_path(look: Look, tmp_path: Path) -> None:
    name = "experiments/p/other.yaml"
    look(**{name: "name: x\nhydra: {searchpath: ['pkg://evil']}\n"})
    faults = compose([], config_name="other").faults
    assert (faults[0].key, faults[0].message) == ("hydra.searchpath", "may be set on the command line only")
    assert faults[0].where == f"{name}:2"


@pytest.mark.parametrize(
    ("text", "key", "what"),
    [
        ("name: ${oc.env:HOME}", "name", "environment values are"),
        ("name: x-${oc.env:HOME,none}", "name", "environment values are"),
        ("name: ${oc.select:${oc.env:HOME},x}", "name", "environment values are"),
        ("seed: ${run_name:}${run_name:'${oc.env:HOME}'}", "seed", "environment values are"),
        ("seed: ${.a.${oc.env:HOME}}", "seed", "environment values are"),
        ("data: {source: ['${oc.env:HOME}']}", "data.source.0", "environment values are"),
        ("e: env\nname: ${oc.${e}:HOME}", "name", "`oc.${e}` is"),
        ("seed: ${${e}:HOME}", "seed", "`${e}` is"),
        ("name: ${oc.decode:'x'}", "name", "`oc.decode` is"),
        ("name: '${oc.create:{a: b}}'", "name", "`oc.create` is"),
        ("hydra: {run: {dir: '${oc.env:HOME}'}}", "hydra.run.dir", "environment values are"),
        (
            "hydra: {sweeper: {params: {name: '\\${oc.env:HOME}'}}}",
            "hydra.sweeper.params.name",
            "interpolations are",
        ),
    ],
)
def test_a_pack_does_not_read_the_environment(look: Look, text: str, key: str, what: str) -> None:
    fault = look("+experiment=x", **pack(text))[key]
    assert fault.message.startswith(f"{what} refused in ")
    assert fault.where.startswith(PACK)


def test_the_users_own_conf_and_words_may(look: Look) -> None:
    assert look("+experiment=x", **{"conf/experiment/x.yaml": HEAD + "name: ${oc.env:HOME}"}) == {}
    assert look("name=${oc.env:HOME}") == {}


def test_all_faults_are_told_at_once(look: Look) -> None:
    text = "optimizer: {_target_: os.system}\nhydra: {verbose: true}\nname: ${oc.env:HOME}\n"
    text += "trainer: {_partial_: true}\n"
    faults = look("+experiment=x", "model.width=oops", "data=nothing", **pack(text))
    assert {"optimizer._target_", "hydra.verbose", "name", "trainer._partial_"} <= set(faults)
