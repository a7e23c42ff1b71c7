"""Tells somebody when an action begins or ends on a live source: rules, webhooks, MQTT, programs and clips."""
