"""Events that enter by brokers: Mosquitto, the mock cluster of librdkafka, and RabbitMQ where it is installed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from event_platform import EventPlatform, served

from pytest_deploygate.checks.pipeline import judge, probe
from pytest_deploygate.checks.pipeline.section import Pipeline
from pytest_deploygate.clients import budget
from pytest_deploygate.model import CannotTell, Judgement, Verdict

EVENTS = 310
RABBIT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def eventually(true: Callable[[], bool], limit_s: float = 60.0) -> None:
    until = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < until
        time.sleep(0.1)


def listens(port: int) -> bool:
    with socket.socket() as asked:
        asked.settimeout(1)
        return asked.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def platform() -> Iterator[EventPlatform]:
    with served() as running:
        yield running


@pytest.fixture(autouse=True)
def _in_order(platform: EventPlatform) -> Iterator[None]:
    yield
    platform.lost = set()


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    if not Path(program).exists():
        pytest.skip("mosquitto is not installed")
    folder, port = tmp_path_factory.mktemp("mosquitto"), free_port()
    folder.chmod(0o755)
    (folder / "rights").write_text(
        "topic read readings/#\ntopic write readings/synthetic-1\ntopic write readings/synthetic-2\n"
    )
    (folder / "mosquitto.conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nacl_file {folder}/rights\nuser root\n"
        if os.getuid() == 0
        else f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nacl_file {folder}/rights\n"
    )
    with subprocess.Popen(
        [program, "-c", str(folder / "mosquitto.conf")], stderr=subprocess.DEVNULL
    ) as process:
        eventually(lambda: listens(port))
        yield port
        process.terminate()


@pytest.fixture
def subscriber(mosquitto: int, platform: EventPlatform) -> Iterator[Any]:
    from paho.mqtt.client import CallbackAPIVersion, Client

    client, ready = Client(CallbackAPIVersion.VERSION2), threading.Event()
    client.on_message = lambda _c, _d, message: platform.taken(message.payload)
    client.on_subscribe = lambda *_: ready.set()
    client.connect("127.0.0.1", mosquitto)
    client.subscribe("readings/#", qos=1)
    client.loop_start()
    assert ready.wait(20)
    yield client
    client.disconnect()
    client.loop_stop()


def section(platform: EventPlatform, entrance: dict[str, Any], **more: Any) -> Pipeline:
    told: dict[str, Any] = {
        "opt_in": "ours",
        "devices": ["synthetic-1", "synthetic-2"],
        "events": EVENTS,
        "per_second": 100,
        "entrances": [{"name": "broker", **entrance}],
        "exits": [
            {"name": "live", "websocket": {"url": f"{platform.socket}/socket"}},
            {
                "name": "store",
                "api": {"url": f"{platform.url}/readings", "every": "200ms", "order": "oldest first"},
            },
        ],
        "limits": {"p50": "3s", "p99": "5s"},
        "within": "5s",
        "look_on": "300ms",
    }
    return Pipeline.model_validate(told | more)


def tried(section: Pipeline) -> Judgement:
    found = probe.measured(section, "ours", None, budget.unrecorded("phase3.pipeline"), allowed=False)
    return judge.judge(found, section)


def well(judged: Judgement) -> bool:
    """Nothing is wrong with the platform. On a busy machine our own side may be too slow, which is no fault of it."""
    return judged.verdict is Verdict.PASS or judged.reason.startswith("only ")


def mqtt(port: int, **more: Any) -> dict[str, Any]:
    return {"mqtt": {"host": "127.0.0.1", "port": port, "tls": False, "topic": "readings/{device}", **more}}


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_mqtt(platform: EventPlatform, mosquitto: int, subscriber: Any, version: str) -> None:
    judged = tried(section(platform, mqtt(mosquitto, version=version)))
    assert well(judged), judged.reason


def test_mqtt_accepted_by_the_broker_and_never_stored(
    platform: EventPlatform, mosquitto: int, subscriber: Any
) -> None:
    platform.lost = {41}
    judged = tried(section(platform, mqtt(mosquitto), within="1s"))
    assert judged.verdict is Verdict.FAIL
    assert "1 of 310 events that the broker of broker accepted were never stored (store)" in judged.reason


def test_mqtt_nobody_reads_from_the_broker(platform: EventPlatform, mosquitto: int) -> None:
    judged = tried(section(platform, mqtt(mosquitto), within="1s"))
    assert judged.verdict is Verdict.FAIL
    assert "events on trial that entered by broker came out within 1 s" in judged.reason
    assert "the broker says that nobody has subscribed: start the platform's consumer" in judged.reason


def test_mqtt_broker_that_refuses_a_topic(platform: EventPlatform, mosquitto: int, subscriber: Any) -> None:
    judged = tried(section(platform, mqtt(mosquitto, topic="other/{device}"), within="1s"))
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "refused by the broker: Not authorized; check address, credentials and message" in judged.reason


def test_mqtt_broker_that_is_not_there(platform: EventPlatform) -> None:
    with pytest.raises(CannotTell, match=r"broker: no connection to the broker 127.0.0.1:1 \("):
        tried(section(platform, mqtt(1)))


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    """The mock cluster that librdkafka brings for its own tests: it speaks Kafka's protocol on a port of its own."""
    confluent_kafka = pytest.importorskip("confluent_kafka")
    holder = confluent_kafka.Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1})
    metadata = holder.list_topics("readings", timeout=20)
    broker = next(iter(metadata.brokers.values()))
    yield f"{broker.host}:{broker.port}"
    del holder


@pytest.fixture
def consumer(kafka: str, platform: EventPlatform) -> Iterator[None]:
    import confluent_kafka

    reading = confluent_kafka.Consumer(
        {"bootstrap.servers": kafka, "group.id": "none", "enable.auto.commit": False, "fetch.wait.max.ms": 10}
    )
    parts = reading.list_topics("readings", timeout=20).topics["readings"].partitions
    end = confluent_kafka.OFFSET_END
    reading.assign([confluent_kafka.TopicPartition("readings", part, end) for part in parts])
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            message = reading.poll(0.1)
            if message is not None and not message.error():
                platform.taken(message.value())

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    yield
    over.set()
    thread.join(10)
    reading.close()


def test_kafka(platform: EventPlatform, kafka: str, consumer: None) -> None:
    entrance = {"kafka": {"servers": [kafka], "topic": "readings", "tls": False}}
    judged = tried(section(platform, entrance))
    assert well(judged), judged.reason
    platform.lost = {41}
    judged = tried(section(platform, entrance, within="1s"))
    assert judged.verdict is Verdict.FAIL
    assert "events that the broker of broker accepted were never stored (store)" in judged.reason


def test_kafka_that_is_not_there(platform: EventPlatform) -> None:
    entrance = {"kafka": {"servers": ["127.0.0.1:1"], "topic": "readings", "tls": False}}
    with pytest.raises(CannotTell, match=r"broker: Kafka at 127\.0\.0\.1:1 cannot be used: "):
        tried(section(platform, entrance))


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    if not RABBIT.exists():
        pytest.skip("rabbitmq-server is not installed")
    folder, port = tmp_path_factory.mktemp("rabbit"), free_port()
    (folder / "plugins").write_text("[].")
    environment = os.environ | {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"deploygate{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_CONFIG_FILE": str(folder / "none"),
        "ERL_EPMD_PORT": str(free_port()),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "LANG": "C.UTF-8",
    }
    with (folder / "out").open("wb") as said:
        process = subprocess.Popen(
            [str(RABBIT)], env=environment, stdout=said, stderr=said, start_new_session=True
        )
    try:
        eventually(lambda: listens(port), 120)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
        subprocess.run(["epmd", "-kill"], env=environment, check=False, capture_output=True)


@pytest.fixture
def queue(rabbit: int, platform: EventPlatform) -> Iterator[None]:
    import asyncio

    import aio_pika

    loop, ready = asyncio.new_event_loop(), threading.Event()
    over = asyncio.Event()

    async def consume() -> None:
        connection = await aio_pika.connect(f"amqp://guest:guest@127.0.0.1:{rabbit}/")
        async with connection:
            channel = await connection.channel()
            found = await channel.declare_queue("readings", auto_delete=True)
            await found.consume(_taken, no_ack=True)
            ready.set()
            await over.wait()

    async def _taken(message: Any) -> None:
        platform.taken(message.body)

    thread = threading.Thread(target=lambda: loop.run_until_complete(consume()), daemon=True)
    thread.start()
    assert ready.wait(60)
    yield
    loop.call_soon_threadsafe(over.set)
    thread.join(20)
    loop.close()


def amqp(port: int, key: str = "readings") -> dict[str, Any]:
    return {
        "amqp": {
            "url": f"amqp://127.0.0.1:{port}/",
            "user": "guest",
            "password": "env:RABBIT",
            "routing_key": key,
        }
    }


@pytest.mark.long  # RabbitMQ brings Erlang, which takes a minute to install
def test_amqp(platform: EventPlatform, rabbit: int, queue: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RABBIT", "guest")
    judged = tried(section(platform, amqp(rabbit)))
    assert well(judged), judged.reason
    platform.lost = {41}
    judged = tried(section(platform, amqp(rabbit), within="1s"))
    assert "events that the broker of broker accepted were never stored (store)" in judged.reason


@pytest.mark.long  # RabbitMQ brings Erlang, which takes a minute to install
def test_amqp_key_that_no_queue_takes(
    platform: EventPlatform, rabbit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RABBIT", "guest")
    judged = tried(section(platform, amqp(rabbit, "elsewhere.{device}"), within="1s"))
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "refused by the broker: NO_ROUTE (routing key elsewhere.synthetic-1)" in judged.reason


@pytest.mark.long  # RabbitMQ brings Erlang, which takes a minute to install
def test_amqp_wrong_password(platform: EventPlatform, rabbit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RABBIT", "wrong-password")
    with pytest.raises(CannotTell, match="cannot be used") as error:
        tried(section(platform, amqp(rabbit)))
    assert "wrong-password" not in str(error.value)
