"""What schemathesis needs to know of the salon it calls: ids that exist, and formats that JSON Schema has no words for.

CONTRACT_SALON names the file with the salon's ids, by kind; `cargo xtask test` writes it.
"""

import json
import os
import re
import uuid
import zlib
from datetime import datetime, timedelta
from zoneinfo import available_timezones

import schemathesis
from hypothesis import strategies as st

SALON = json.load(open(os.environ["CONTRACT_SALON"]))
SCOPE = re.compile(r"/v1/([a-z-]+)/\{id\}")
ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
KEY = re.compile(r"[ -~]{1,255}")
WHEN = re.compile(r"(19[7-9]|20\d|21\d)\d-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d.*")

schemathesis.openapi.format("time-zone", st.sampled_from(sorted(available_timezones() - {"Factory", "localtime"})))


def pick(kind, value):
    """Three times out of four an id that exists; the same value always gives the same one."""
    ids = SALON.get(kind, [])
    chance = zlib.crc32(value.encode())
    return value if not ids or chance % 4 == 0 else ids[chance // 4 % len(ids)]


def there(name, value):
    """The value of a field, with ids that exist and times that are ahead wherever the value fits at all."""
    if isinstance(value, dict):
        return {key: there(key, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [there(name, inner) for inner in value]
    if not isinstance(value, str):
        return value
    if name.endswith(("_id", "_ids")) and ID.fullmatch(value):
        kind = re.sub("_ids?$", "", name)
        return pick({"manager": "staff"}.get(kind, kind), value)
    if name in ("start", "from") and WHEN.fullmatch(value):
        ahead = timedelta(minutes=15 * (zlib.crc32(value.encode()) % 50_000))
        return (datetime.fromisoformat(SALON["now"][:16]) + timedelta(days=2) + ahead).isoformat()
    return value


KINDS = {
    "bookings": "booking", "clients": "client", "locations": "location", "occasions": "occasion", "resources": "resource",
    "services": "service", "staff": "staff", "tasks": "task", "waitlist": "waitlist_entry",
}


@schemathesis.hook
def before_call(context, case, kwargs):
    scope = SCOPE.match(case.path)
    value = (case.path_parameters or {}).get("id")
    if scope and isinstance(value, str) and ID.fullmatch(value):
        case.path_parameters["id"] = pick(KINDS.get(scope[1], ""), value)
    if isinstance(case.body, dict):
        case.body = there("", case.body)
    # A key that was used for another request is refused, as it should be.
    headers = case.headers or {}
    if KEY.fullmatch(str(headers.get("Idempotency-Key", ""))):
        case.headers["Idempotency-Key"] = uuid.uuid4().hex
