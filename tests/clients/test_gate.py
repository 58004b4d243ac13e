"""A client that is not ours: Python's grpcio, with nothing but what the service tells by reflection, and curl."""

import json
import pathlib
import signal
import socket
import subprocess
import time

import grpc
import pytest
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = ROOT / "target" / "debug" / "creditgate"
BARRED = "91219999MAYG58BR3Q"
CLEAN = "91239999MA5KBCBB77"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Service:
    """The real binary over a directory of its own; ends only what it started."""

    def __init__(self, data_dir):
        self.grpc = f"127.0.0.1:{free_port()}"
        self.http = f"127.0.0.1:{free_port()}"
        self.data_dir = data_dir
        self.start()

    def start(self):
        arguments = ["serve", "--data-dir", self.data_dir, "--grpc-addr", self.grpc, "--http-addr", self.http]
        self.process = subprocess.Popen([BINARY, *arguments], stderr=subprocess.DEVNULL)
        for _ in range(1500):
            if self.process.poll() is not None:
                raise RuntimeError(f"the service ended with {self.process.returncode}")
            ready = subprocess.run(["curl", "-sf", f"http://{self.http}/readyz"], capture_output=True)
            if ready.returncode == 0:
                return
            time.sleep(0.04)
        raise RuntimeError("the service is not ready")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def run(self, *arguments):
        command = [BINARY, *arguments, "--server", f"http://{self.grpc}"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture
def service(tmp_path):
    running = Service(str(tmp_path / "data"))
    imported = running.run(
        "lists", "import", "services/creditgate/demo/entries.csv", "--source-unit", "演示数据"
    )
    assert imported.returncode == 0, imported.stderr
    yield running
    if running.process.poll() is None:
        running.kill()


class Gate:
    """Calls built from reflection alone."""

    def __init__(self, address, name="Gate"):
        self.name = f"creditgate.v1.{name}"
        # A pool of its own: a channel to a restarted service must not inherit the broken connection.
        self.channel = grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
        self.pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(self.channel))
        self.methods = self.pool.FindServiceByName(self.name).methods_by_name

    def message(self, name):
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(f"creditgate.v1.{name}"))

    def call(self, name, kind="unary_unary"):
        method = self.methods[name]
        answer = message_factory.GetMessageClass(method.output_type)
        return getattr(self.channel, kind)(
            f"/{self.name}/{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )

    def event(self, event_id, uscc=CLEAN, stage="evaluate"):
        event = self.message("Event")(
            source="python", id=event_id, case_id=f"case-{event_id}", scenario="tender", stage=stage, region="320505"
        )
        event.subjects.add(role="bidder", id_type="USCC", id=uscc, kind="enterprise")
        event.attributes["mandatory_tender"].bool_value = True
        return event

    def check(self, event):
        return self.call("Check")(self.message("CheckRequest")(event=event)).verdict


def test_a_client_by_reflection_checks_and_reads_parties(service):
    gate = Gate(service.grpc)
    assert gate.check(gate.event("1")).outcome == "PASS"
    barred = gate.check(gate.event("2", BARRED))
    assert [party.outcome for party in barred.parties] == ["PROHIBIT"]
    assert barred.subjects[0].triggered[0].measure.basis[0].law


def test_another_book_is_simulated_by_reflection_and_a_garbled_one_refused(service):
    gate = Gate(service.grpc)
    gate.check(gate.event("1", BARRED))
    books, simulation = Gate(service.grpc, "Books"), Gate(service.grpc, "Simulation")
    current = books.call("Current")(books.message("CurrentBookRequest")())
    assert current.book.signing == "unsigned" and current.rows_active > 0
    request = simulation.message("SimulateRequest")(purpose="the book in force, decided again")
    last = list(simulation.call("Simulate", "unary_stream")(request))[-1]
    assert (last.result.totals.events, last.result.totals.unchanged) == (1, 1)
    with pytest.raises(grpc.RpcError) as refused:
        list(simulation.call("Simulate", "unary_stream")(simulation.message("SimulateRequest")()))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT, "a purpose is asked for"
    with pytest.raises(grpc.RpcError) as refused:
        books.call("Publish")(books.message("PublishBookRequest")(pack=b"no pack", reason="try"))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert books.call("Current")(books.message("CurrentBookRequest")()).book.version == current.book.version


def test_errors_carry_their_details(service):
    gate = Gate(service.grpc)
    with pytest.raises(grpc.RpcError) as refused:
        gate.check(gate.event("1", stage="evaluation"))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert any(key == "grpc-status-details-bin" for key, _ in refused.value.trailing_metadata())


def test_bytes_that_are_no_message_are_the_senders_fault(service):
    gate = Gate(service.grpc)
    raw = gate.channel.unary_unary("/creditgate.v1.Gate/Check")
    text = b"\x0a\x04\x0a\x02\xff\xfe"  # an event whose source is not UTF-8
    for body in (text, b"\xff\xff\xff"):
        with pytest.raises(grpc.RpcError) as refused:
            raw(body)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    huge = gate.event("huge")
    huge.purpose = "x" * (5 << 20)
    with pytest.raises(grpc.RpcError) as refused:
        gate.check(huge)
    assert refused.value.code() in (grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert "limit" in refused.value.details()
    assert gate.check(gate.event("after")).outcome == "PASS"


def test_bytes_in_a_stream_that_are_no_message_end_nothing(service):
    gate = Gate(service.grpc)
    item = gate.message("CheckStreamRequest")
    good = [item(event=gate.event(f"b{n}"), correlation=str(n)).SerializeToString() for n in range(2)]
    raw = gate.channel.stream_stream("/creditgate.v1.Gate/CheckStream")
    answers = [
        gate.message("CheckStreamResponse").FromString(answer)
        for answer in raw(iter([good[0], b"\xff\xff\xff", good[1]]))
    ]
    assert [answer.result.WhichOneof("result") for answer in answers] == ["verdict", "error", "verdict"]
    assert answers[1].result.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def test_an_eager_stream_of_many_small_items_is_answered_whole(service):
    gate = Gate(service.grpc)
    item = gate.message("CheckStreamRequest")
    items = (item(event=gate.event(f"e{n}"), correlation=str(n)) for n in range(20_000))
    answers = gate.call("CheckStream", "stream_stream")(items)
    assert [answer.correlation for answer in answers] == [str(n) for n in range(20_000)]


def test_a_stream_keeps_its_order_and_survives_a_bad_item(service):
    gate = Gate(service.grpc)
    item = gate.message("CheckStreamRequest")
    stages = ["evaluate", "nowhere", "evaluate", "award"]
    items = [item(event=gate.event(f"s{n}", stage=stage), correlation=str(n)) for n, stage in enumerate(stages)]
    answers = list(gate.call("CheckStream", "stream_stream")(iter(items)))
    assert [answer.correlation for answer in answers] == ["0", "1", "2", "3"]
    assert [answer.result.WhichOneof("result") for answer in answers] == ["verdict", "error", "verdict", "verdict"]
    assert answers[1].result.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def test_what_was_answered_before_a_kill_is_there_after_it(service):
    gate = Gate(service.grpc)
    verdicts = {n: gate.check(gate.event(f"k{n}", BARRED if n % 3 == 0 else CLEAN)) for n in range(200)}
    service.kill()
    service.start()
    gate = Gate(service.grpc)
    for n, before in verdicts.items():
        request = gate.message("GetVerdictRequest")(verdict_id=before.verdict_id)
        assert gate.call("GetVerdict")(request).verdict.verdict_digest == before.verdict_digest
        again = gate.check(gate.event(f"k{n}", BARRED if n % 3 == 0 else CLEAN))
        assert again.verdict_id == before.verdict_id
    replayed = service.run("replay", verdicts[0].verdict_id)
    assert replayed.returncode == 0, replayed.stdout


def test_curl_checks_and_sends_cloudevents(service):
    event = {
        "source": "curl",
        "id": "1",
        "case_id": "T-1",
        "scenario": "tender",
        "stage": "evaluate",
        "region": "320505",
        "subjects": [{"role": "bidder", "id_type": "USCC", "id": BARRED, "kind": "enterprise"}],
        "attributes": {"mandatory_tender": True},
    }

    def post(path, body, *headers):
        flags = [flag for header in headers for flag in ("-H", header)]
        command = ["curl", "-s", "-w", "\n%{http_code}", f"http://{service.http}{path}", *flags, "-d", body]
        answer, code = subprocess.run(command, capture_output=True, text=True).stdout.rsplit("\n", 1)
        return json.loads(answer), int(code)

    answer, code = post("/v1/check", json.dumps(event), "content-type: application/json")
    assert (code, answer["verdict"]["outcome"]) == (200, "PROHIBIT")
    cloud = {
        "specversion": "1.0",
        "type": "cn.creditgate.event.v1",
        "source": "curl",
        "id": "1",
        "datacontenttype": "application/json",
        "data": event,
    }
    answer, code = post("/v1/events", json.dumps(cloud), "content-type: application/cloudevents+json")
    assert (code, answer["data"]["outcome"]) == (200, "PROHIBIT")
    answer, code = post("/v1/check", "{", "content-type: application/json")
    assert code == 400 and answer["title"]

