"""The numbers in the files of the metrics folder: the same files that `prometheus_client` makes by itself."""

import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.values import MultiProcessValue

from addon.observation import file_values
from addon.observation.exporter import folder_registry
from addon.observation.file_values import FileValue
from addon.observation.metrics import Metrics
from addon.observation.metrics_folder import FOLDER_VARIABLE
from tests.addon.observation.counting_process import ROOT

FIRST_SIZE = 1 << 16


@pytest.fixture
def counted(folder, monkeypatch):
    """Nothing is counted yet, neither by this process nor by one that had its number before."""
    folder.mkdir()
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    monkeypatch.setattr(file_values, "_files", {})
    monkeypatch.setattr(file_values, "_values", [])
    yield folder
    for file in file_values._files.values():
        file.close()


def _count(value_class: type, monkeypatch: pytest.MonkeyPatch, series: int = 2) -> None:
    monkeypatch.setattr(values, "ValueClass", value_class)
    monkeypatch.setattr("prometheus_client.metrics.time.time", lambda: 1.5)  # the newest is that of the latest time
    registry = CollectorRegistry()
    counter = Counter("things_total", "Things, in all: “ä”.", ("kind",), registry=registry)
    gauge = Gauge("at_once", "Things at once.", ("kind",), registry=registry, multiprocess_mode="livesum")
    newest = Gauge("newest", "The newest.", registry=registry, multiprocess_mode="mostrecent")
    histogram = Histogram("seconds", "How long.", ("kind",), registry=registry, buckets=(0.1, 1.0))
    for number in range(series):
        kind = "ü" * number
        for amount in (0.1, 0.2, 7, 1e300):
            counter.labels(kind).inc(amount)
            histogram.labels(kind).observe(amount)
        gauge.labels(kind).inc(3)
        gauge.labels(kind).dec()
    newest.set(5)


@pytest.mark.parametrize("series", [0, 2, 200])
def test_the_files_are_those_of_the_packages_own_class(counted, monkeypatch, series):
    _count(FileValue, monkeypatch, series)
    ours = {file.name: file.read_bytes() for file in counted.iterdir()}
    for file in counted.iterdir():
        file.unlink()
    _count(MultiProcessValue(), monkeypatch, series)
    assert {file.name: file.read_bytes() for file in counted.iterdir()} == ours
    assert (len(max(ours.values(), key=len)) > FIRST_SIZE) is (series == 200)


def test_what_is_counted_before_a_file_grows_goes_on_in_it(counted):
    first = FileValue("counter", "first", "first_total", (), (), "The first.")
    first.inc(1)
    for number in range(1000):
        FileValue("counter", "others", "others_total", ("number",), (str(number),), "x" * 100).inc(number)
    first.inc(1)
    (file,) = counted.iterdir()
    entries = list(MmapedDict.read_all_values_from_file(file))
    assert file.stat().st_size > FIRST_SIZE
    assert [value for _, value, _, _ in entries] == [2, *range(1000)]
    assert first.get() == 2


def test_a_process_goes_on_with_the_counters_of_a_dead_one_of_its_number(counted, monkeypatch):
    _count(FileValue, monkeypatch)
    monkeypatch.setattr(file_values, "_files", {})
    _count(FileValue, monkeypatch, series=3)
    found = folder_registry(counted).get_sample_value
    assert found("things_total", {"kind": "ü"}) == 2 * (0.1 + 0.2 + 7 + 1e300)
    assert found("seconds_count", {"kind": "ü"}) == 8
    assert found("seconds_count", {"kind": "üü"}) == 4


def test_what_another_process_reads_is_there_as_soon_as_it_is_counted(counted):
    value = FileValue("counter", "things", "things_total", (), (), "Things.")
    read = folder_registry(counted).get_sample_value
    for count in range(1, 4):
        value.inc(1)
        assert read("things_total") == value.get() == count


def test_whether_there_is_a_folder_is_decided_anew_for_all_metrics_that_are_made(counted, monkeypatch):
    monkeypatch.setattr(values, "ValueClass", MultiProcessValue())
    monkeypatch.setattr("addon.observation.metrics_folder._held", {})
    refused = "claude_proxy_refused_total", {"reason": "rate"}
    Metrics().observe_refusal("rate")
    assert [type(value) for value in file_values._values if value.get()] == [FileValue]
    monkeypatch.delenv(FOLDER_VARIABLE)
    in_memory = Metrics()
    in_memory.observe_refusal("rate")
    assert in_memory.registry.get_sample_value(*refused) == 1
    assert folder_registry(counted).get_sample_value(*refused) == 1


FORKING = """
import os
from addon.observation.file_values import FileValue
from addon.observation.metrics import Metrics

value = FileValue("counter", "things", "things_total", (), (), "Things.")
value.inc(1)
child = os.fork()
for _ in range(1000):
    value.inc(1)
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_process_counts_in_a_file_of_its_own(counted):
    environment = {FOLDER_VARIABLE: str(counted), "PYTHONPATH": ROOT}
    subprocess.run([sys.executable, "-c", FORKING], env=environment, check=True, timeout=60)
    files = sorted(next(MmapedDict.read_all_values_from_file(file))[1] for file in counted.glob("*.db"))
    assert files == [1000, 1001]
