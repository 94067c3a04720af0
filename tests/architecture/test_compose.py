"""docker-compose.yml and Dockerfile keep to the schema, to our commands, and to a production stack's manners."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

import jsonschema
import pytest
import typer
import yaml

from compose_file import FILE, MissingVariableError, load
from onnxyard.cli.main import build
from onnxyard.settings import Settings

ROOT = FILE.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = load({"POSTGRES_PASSWORD": "secret"})
SERVICES = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)
WHEEL = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def schema():
    return json.loads((files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json").read_text())


def environment(name: str) -> dict[str, str]:
    return SERVICES[name].get("environment", {})


def test_the_file_keeps_to_the_compose_schema():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_schema_can_refuse():
    broken = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    broken["services"]["serving"]["prots"] = []
    with pytest.raises(jsonschema.ValidationError, match="prots"):
        jsonschema.validate(broken, schema())


def test_the_stack_is_whole():
    assert set(SERVICES) == {
        "postgres",
        "migrate",
        "mlflow",
        "prefect",
        "worker",
        "serving",
        "control",
        "dashboard",
    }


@pytest.mark.parametrize("name", [n for n in OURS if SERVICES[n]["command"][0] == "onnxyard"])
def test_each_of_our_commands_is_one_that_the_command_line_knows(name):
    parse(SERVICES[name]["command"][1:])


def test_a_command_that_is_none_would_be_seen():
    with pytest.raises(typer._click.exceptions.UsageError):
        parse(["serve", "--prot=8080"])


def parse(arguments: list[str]) -> None:
    """Parse as the command would, without running it. Raises UsageError."""
    command = typer.main.get_command(build())
    context = command.make_context("onnxyard", list(arguments))
    while hasattr(command, "resolve_command"):
        rest = [*context._protected_args, *context.args]
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)
    assert context.args == []


@pytest.mark.parametrize("name", OURS)
def test_everything_else_is_a_command_that_the_image_brings(name):
    assert SERVICES[name]["command"][0] in {"onnxyard", "mlflow", "prefect"}
    if SERVICES[name]["build"]["target"] == "serving":
        assert SERVICES[name]["command"][0] == "onnxyard"


@pytest.mark.parametrize("name", OURS)
def test_each_image_is_a_stage_of_the_dockerfile(name):
    stages = re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE)
    assert SERVICES[name]["build"]["target"] in stages
    assert SERVICES[name]["image"].endswith(f"{SERVICES[name]['build']['target']}:{WHEEL['version']}")


def test_the_dockerfile_copies_what_the_wheel_is_built_from_and_asks_for_extras_there_are():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [
        word for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE) for word in line.split()[:-1]
    ]
    assert {f"!{name}" for name in copied} == {line for line in ignored if line.startswith("!")}
    assert all((ROOT / name).exists() for name in copied)
    asked = {extra for group in re.findall(r"'\.\[([^\]]+)\]'", DOCKERFILE) for extra in group.split(",")}
    assert asked <= set(WHEEL["optional-dependencies"])


def test_the_serving_image_holds_no_torch_mlflow_or_prefect():
    stage = DOCKERFILE.split("AS build-serving", 1)[1].split("FROM", 1)[0]
    assert re.findall(r"'\.\[([^\]]+)\]'", stage) == ["serving,processing"]


@pytest.mark.parametrize("name", OURS)
def test_nobody_runs_as_root_or_with_more_than_is_needed(name):
    service = SERVICES[name]
    assert service["user"] == "10001:10001"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "USER 10001:10001" in DOCKERFILE


def test_only_loopback_is_published_and_postgres_not_at_all():
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert "ports" not in SERVICES["postgres"]
    assert SERVICES["postgres"]["networks"] == ["data"]
    assert COMPOSE["networks"]["data"]["internal"] is True


@pytest.mark.parametrize("name", [n for n in SERVICES if n != "migrate"])
def test_each_service_that_stays_has_a_health_check_on_the_port_it_listens_at(name):
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    test = " ".join(service["healthcheck"]["test"])
    listens = {port.rpartition(":")[2] for port in service.get("ports", ())}
    listens |= {argument.removeprefix("--port=") for argument in service.get("command", ()) if "--port=" in argument}
    assert all(f":{port}/" in test for port in listens)


def test_whoever_waits_waits_for_a_condition_that_can_come_true():
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            condition = how["condition"]
            assert other in SERVICES
            assert condition == ("service_completed_successfully" if other == "migrate" else "service_healthy")


def test_a_stack_without_a_password_does_not_start_and_no_secret_is_committed():
    with pytest.raises(MissingVariableError):
        load({})
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert "POSTGRES_PASSWORD=\n" in example
    assert ".env" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_every_variable_is_explained_in_the_example():
    used = set(re.findall(r"\$\{(\w+)", FILE.read_text(encoding="utf-8")))
    explained = set(re.findall(r"^#?(\w+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))
    assert used == explained


@pytest.mark.parametrize("name", ["migrate", "worker", "serving", "control", "dashboard"])
def test_ours_read_one_home_and_one_registry(name):
    settings = Settings.read(environ=environment(name))
    assert settings.home == Path("/var/lib/onnxyard")
    assert "home:/var/lib/onnxyard" in SERVICES[name]["volumes"]
    assert urlsplit(settings.database_url).hostname == "postgres"


def test_urls_between_services_name_services_and_their_ports():
    listening = {
        name: next((a.removeprefix("--port=") for a in service.get("command", ()) if a.startswith("--port=")), None)
        for name, service in SERVICES.items()
    }
    listening["postgres"] = "5432"
    for name in OURS:
        texts = [*environment(name).values(), *SERVICES[name]["command"]]
        for host, port in re.findall(r"://(?:[^@/\s]*@)?([\w.]+):(\d+)", " ".join(texts)):
            assert host == "127.0.0.1" or listening[host] == port, (name, host, port)


def test_the_data_plane_waits_for_neither_mlflow_nor_prefect():
    assert set(SERVICES["serving"]["depends_on"]) == {"migrate"}
    assert not any("MLFLOW" in key or "PREFECT" in key for key in environment("serving"))
