"""What docs/guide.sh is made of: reads JSON, and counts days and times from the guide's day 0."""

import json
import os
import re
import sys
import urllib.request
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo


def zone():
    return ZoneInfo(os.environ["ZONE"])


def first_day():
    return date.fromisoformat(os.environ["DAY_ZERO"])


def wall(day, time):
    """The wall time so many days after day 0."""
    return datetime.combine(first_day() + timedelta(days=int(day)), datetime.strptime(time, "%H:%M").time())


def told(instant):
    """An instant of the API's as the guide tells it: `day 2 13:00`."""
    local = datetime.fromisoformat(instant).astimezone(zone())
    return f"day {(local.date() - first_day()).days} {local:%H:%M}"


def control(path, body=None):
    """Asks the local stack."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(os.environ["CONTROL"] + path, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def run_to(instant):
    control("/time/run-to", {"to": instant.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")})


def now():
    if os.environ.get("CONTROL"):
        return datetime.fromisoformat(control("/time")["now"])
    return datetime.now(timezone.utc)


def settle():
    run_to(now() + timedelta(seconds=1))


def day_zero():
    today = now().astimezone(zone()).date()
    print(today + timedelta(days=1) if os.environ.get("CONTROL") else today)


def day(number, time):
    print(wall(number, time).strftime("%Y-%m-%dT%H:%M"))


def wait_until(number, time):
    then = wall(number, time).replace(tzinfo=zone())
    if os.environ.get("CONTROL"):
        run_to(then)
    elif then > datetime.now(timezone.utc):
        print(f"Now wait until {then:%A %d %B, %H:%M}.")


def field(path):
    value = json.load(sys.stdin)
    for name in path.split("."):
        value = value[int(name)] if isinstance(value, list) else value[name]
    print(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def in_days(text):
    """A text with the instants in it as the guide tells them."""
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", lambda found: told(found[0]), text)


def obstacle(message):
    """What stopped or moved a message, in the words of its trace."""
    findings = [finding for trace in message["traces"] for finding in trace["findings"]]
    against = [finding["because"] for finding in findings if finding["verdict"] != "pass"]
    if message["status"] not in ("suppressed", "deferred", "failed") or not against:
        return ""
    return in_days(against[-1])


def columns(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def timeline(*types):
    messages = json.load(sys.stdin)["messages"]
    columns([
        [told(message.get("sent_at") or message["due"]), message["type"], message["channel"], status(message), obstacle(message)]
        for message in messages
        if not types or message["type"] in types
    ])


def texts(kind):
    """When the messages of a type leave, and what they say."""
    messages = json.load(sys.stdin)["messages"]
    columns([
        [told(message["due"]), message["channel"], message["text"]]
        for message in messages
        if message["type"] == kind and message.get("text")
    ])


def why(kind, channel):
    """The checks a message went through, as its latest trace has them."""
    messages = json.load(sys.stdin)["messages"]
    message = next(one for one in messages if (one["type"], one["channel"]) == (kind, channel))
    columns([
        [finding["check"], finding["verdict"], in_days(finding["because"])]
        for finding in message["traces"][-1]["findings"]
    ])


def status(message):
    reason = message.get("reason") if message["status"] in ("suppressed", "failed") else None
    return f"{message['status']}: {reason}" if reason else message["status"]


def tasks():
    listed = sorted(json.load(sys.stdin)["items"], key=lambda task: (task["since"], task["kind"]))
    columns([
        [told(task["since"]), task["kind"], task["closed"]["outcome"] if task.get("closed") else "open", task.get("text") or ""]
        for task in listed
    ])


def left(seen):
    """How many have left by now, and those that the caller has not seen: by time, channel and address."""
    outbox = control("/outbox")
    print(len(outbox))
    rows = [
        [
            told(entry["at"]),
            entry["channel"],
            entry["token"] if entry["channel"] == "push" else entry["to"],
            # The text of an e-mail is long; its subject says enough.
            (entry["subject"] if entry["channel"] == "email" else entry["text"]).replace("\n", " "),
        ]
        for entry in outbox[int(seen):]
    ]
    columns(sorted(rows, key=lambda row: (int(row[0].split()[1]), row)))


COMMANDS = {
    "settle": settle, "day-zero": day_zero, "day": day, "wait-until": wait_until,
    "field": field, "timeline": timeline, "texts": texts, "why": why, "tasks": tasks, "left": left,
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])
