"""Events over MQTT: a retained state for each rule, a last will, and Home Assistant's discovery.

Below the topic of the address: ``status`` (``online`` or ``offline``, also by the last will), ``events`` (each event as
JSON), and for each rule ``SENSOR/state`` (``ON`` or ``OFF``) and ``SENSOR/attributes`` (its newest event). All but
``events`` is retained. See https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from kineme.errors import KinemeError, UsageError
from kineme.text import json_text
from kineme.triggers.delivery import RetryError
from kineme.version import __version__
from kineme.video.live import file_name, without_password

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessageInfo

PASSWORD = "KINEME_MQTT_PASSWORD"  # noqa: S105 (the name of the variable)

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_KEEPALIVE_S = 20
_TIMEOUT_S = 10.0
_DISCOVERY = "homeassistant/binary_sensor"


class Mqtt:
    """Publishes each event to a broker.

    Args:
        url: ``mqtt://[USER[:PASSWORD]@]HOST[:PORT]/TOPIC``, or ``mqtts://`` for TLS.
        source: the watched source, as shown; the device of the sensors is called so.
        model: name of the model.
        sensors: names of the rules.

    Raises:
        UsageError: it is no such address.
        KinemeError: paho-mqtt is not installed.
    """

    def __init__(self, url: str, source: str, model: str, sensors: Sequence[str]) -> None:
        self.destination = without_password(url)
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise UsageError(f"--mqtt {self.destination}: give an address such as mqtt://HOST/TOPIC")
        self._topic = unquote(parts.path).strip("/") or f"kineme/{file_name(source)}"
        if re.search(r"[+#\x00]", self._topic):
            raise UsageError(f"--mqtt {self.destination}: a topic to publish to has no + or #")
        try:
            from paho.mqtt.client import Client, MQTTv311
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError as error:
            raise KinemeError('--mqtt needs paho-mqtt: pip install "kineme[mqtt]"') from error
        self._source, self._model = source, model
        self._node = hashlib.sha256(f"{self._topic}\n{source}".encode()).hexdigest()[:12]
        self._sensors = {name: _slug(name) for name in sensors}
        self._active: dict[str, set[str]] = {name: set() for name in sensors}  # of each, where it goes on
        self._sent: tuple[str, list[MQTTMessageInfo]] = "", []  # the newest event, and what was published for it
        self._problem = "is not connected yet"
        self._client = Client(CallbackAPIVersion.VERSION2, f"kineme-{self._node}", True, protocol=MQTTv311)
        if parts.username:
            password = unquote(parts.password) if parts.password else os.environ.get(PASSWORD)
            self._client.username_pw_set(unquote(parts.username), password)
        if parts.scheme == "mqtts":
            self._client.tls_set()
        self._client.will_set(f"{self._topic}/status", "offline", 1, retain=True)
        self._client.reconnect_delay_set(1, 30)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        self._address = parts.hostname, parts.port or _PORTS[parts.scheme]

    def start(self) -> None:
        """Connect, and again whenever the connection is lost. A second client of the same name would break it off."""
        self._client.connect_async(*self._address, _KEEPALIVE_S)
        self._client.loop_start()

    def send(self, document: dict[str, Any]) -> None:
        """As :meth:`kineme.triggers.delivery.Sender.send`."""
        if self._sent[0] != document["id"]:  # else it is still on its way: paho brings it when it is connected again
            if not self._client.is_connected():
                raise RetryError(self._problem)
            self._sent = document["id"], self._publish_event(document)
        for one in self._sent[1]:
            try:
                one.wait_for_publish(_TIMEOUT_S)
            except (RuntimeError, ValueError) as error:
                self._sent = "", []
                raise RetryError(str(error)) from error
            if not one.is_published():
                raise RetryError(f"does not confirm within {_TIMEOUT_S:g} s")

    def close(self) -> None:
        """Say that nobody watches any more, and leave."""
        if self._client.is_connected():
            self._publish("status", "offline").wait_for_publish(_TIMEOUT_S)
        self._client.disconnect()
        self._client.loop_stop()

    def _publish(self, topic: str, text: str, *, retain: bool = True) -> MQTTMessageInfo:
        return self._client.publish(f"{self._topic}/{topic}", text, 1, retain=retain)

    def _publish_event(self, document: dict[str, Any]) -> list[MQTTMessageInfo]:
        text = json_text(document, indent=None)
        published = [self._publish("events", text, retain=False)]
        name = document["sensor"]
        if name in self._sensors and document["type"] in ("enter", "leave"):
            there = self._active[name]
            (there.add if document["type"] == "enter" else there.discard)(document["source"])
            slug = self._sensors[name]
            published += [self._publish(f"{slug}/attributes", text), self._publish(f"{slug}/state", self._state(name))]
        return published

    def _state(self, name: str) -> str:
        return "ON" if self._active[name] else "OFF"

    def _on_connect(self, client: Any, data: Any, flags: Any, code: Any, properties: Any) -> None:
        if code.is_failure:
            self._problem = f"the broker refuses the connection ({code})"
            return
        for name, slug in self._sensors.items():
            self._client.publish(
                f"{_DISCOVERY}/kineme-{self._node}/{slug}/config",
                json_text(self._sensor(name, slug), indent=None),
                1,
                retain=True,
            )
            self._publish(f"{slug}/state", self._state(name))
        self._publish("status", "online")

    def _on_connect_fail(self, client: Any, data: Any) -> None:
        self._problem = "cannot be reached"

    def _on_disconnect(self, client: Any, data: Any, flags: Any, code: Any, properties: Any) -> None:
        if not code.is_failure or self._problem.startswith("the broker refuses"):
            return
        self._problem = "the connection was lost"

    def _sensor(self, name: str, slug: str) -> dict[str, Any]:
        """What Home Assistant must know of a rule."""
        return {
            "name": name,
            "unique_id": f"kineme-{self._node}-{slug}",
            "state_topic": f"{self._topic}/{slug}/state",
            "json_attributes_topic": f"{self._topic}/{slug}/attributes",
            "availability_topic": f"{self._topic}/status",
            "device": {
                "identifiers": [f"kineme-{self._node}"],
                "name": f"Kineme {self._source}",
                "manufacturer": "Kineme",
                "model": self._model,
                "sw_version": __version__,
            },
            "origin": {"name": "Kineme", "sw_version": __version__},
        }


def _slug(name: str) -> str:
    """A name as a part of topics: Home Assistant takes letters, digits, _ and -; a hash replaces other characters."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")
    return plain if plain == name else f"{plain or 'label'}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
