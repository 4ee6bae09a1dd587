"""Makes a booking: the request is counted, one batch read and one query, one transaction that also holds the resource and
keeps the answer."""

import hashlib
import json
import logging
import os
import uuid
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import boto3
from boto3.dynamodb.conditions import Key
from botocore.exceptions import ClientError

REQUESTS_PER_MINUTE = int(os.environ["REQUESTS_PER_MINUTE"])
BOOKINGS_TABLE = os.environ["BOOKINGS_TABLE"]

logger = logging.getLogger()
logger.setLevel(logging.INFO)

dynamodb = boto3.resource("dynamodb")
bookings = dynamodb.Table(BOOKINGS_TABLE)
messages = dynamodb.Table(os.environ["MESSAGES_TABLE"])


class Problem(Exception):
    def __init__(self, status, title):
        super().__init__(title)
        self.status = status


def handler(event, context):
    context_of_request = event["requestContext"]
    now = max(
        datetime.now(timezone.utc),
        datetime.fromtimestamp(context_of_request["timeEpoch"] / 1000, timezone.utc),
    )
    caller = context_of_request.get("authorizer", {}).get("lambda", {})
    try:
        if not caller.get("business_id"):
            raise Problem(401, "nobody")
        if caller.get("role") not in ("owner", "manager", "staff"):
            raise Problem(403, "forbidden")
        remaining = admit(caller["business_id"], now)
        if event["routeKey"] != "POST /v1/bookings":
            raise Problem(404, "no route")
        booking, warnings = create_booking(caller["business_id"], event, now)
        headers = {
            "location": f"/v1/bookings/{booking['id']}",
            "etag": f'"{booking["revision"]}"',
            "ratelimit-policy": f'"requests";q={REQUESTS_PER_MINUTE};w=60',
            "ratelimit": f'"requests";r={remaining};t={60 - now.second}',
        }
        return answer(201, {**booking, "warnings": warnings} if warnings else booking, headers)
    except Problem as problem:
        return answer(problem.status, {"title": str(problem)})
    except Exception as error:
        logger.error(json.dumps({"message": "a request failed", "error": str(error)}))
        return answer(500, {"title": "internal error"})


def answer(status, body, headers=None):
    content_type = "application/json" if status < 400 else "application/problem+json"
    return {
        "statusCode": status,
        "headers": {"content-type": content_type, **(headers or {})},
        "body": in_json(body),
        "isBase64Encoded": False,
    }


def in_json(body):
    return json.dumps(body, default=lambda number: int(number) if isinstance(number, Decimal) else str(number))


# Requests of the present minute that this sandbox has taken and not given out, by business.
minute_of_slices = 0
slices = {}


def admit(business, now):
    global minute_of_slices
    minute = int(now.timestamp()) // 60
    if minute > minute_of_slices:
        minute_of_slices = minute
        slices.clear()
    one = slices.get(business)
    if not one or not one["taken"]:
        add = min(20, max(1, REQUESTS_PER_MINUTE // 30))
        try:
            counted = messages.update_item(
                Key={"pk": f"BUSINESS#{business}#METER", "sk": f"REQUESTS#{minute}"},
                UpdateExpression="ADD counted :add SET expires_epoch = :expires",
                ConditionExpression="attribute_not_exists(counted) OR counted <= :room",
                ExpressionAttributeValues={
                    ":add": add,
                    ":room": REQUESTS_PER_MINUTE - add,
                    ":expires": int(now.timestamp()) + 3600,
                },
                ReturnValues="UPDATED_NEW",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                raise Problem(429, "too many requests") from error
            raise
        one = {"taken": add, "left": REQUESTS_PER_MINUTE - int(counted["Attributes"]["counted"])}
        slices[business] = one
    one["taken"] -= 1
    return one["taken"] + one["left"]


def create_booking(business_id, event, now):
    asked, start = parse(event.get("body"))
    key = event["headers"].get("idempotency-key")
    once = None
    if key:
        request = f"POST {event['rawPath']}\n{event['body']}"
        once = {"key_hash": sha256(key), "request_hash": sha256(request)}
    found = read(business_id, asked, start, once)
    parts = parts_near(business_id, asked, start)

    kept = found["answer"]
    if kept and datetime.fromisoformat(kept["expires_at"]) > now:
        if kept["request_hash"] != once["request_hash"]:
            raise Problem(422, "this Idempotency-Key was used before")
        return json.loads(kept["body"]), []
    booking = put_together(business_id, asked, start, found, now)
    day = hold(booking, found)
    warnings = [
        {"kind": "already_told", "booking_id": part["booking_id"]}
        for part in parts
        if part["start"][:10] == booking["start"][:10]
    ]

    base = f"BUSINESS#{business_id}"
    of = f"{base}#BOOKING#{booking['id']}"
    items = [
        put(
            {
                "entity": "resource_day",
                "pk": f"{base}#RESOURCE#{booking['resource_id']}",
                "sk": f"DAY#{day['day']}",
                **day,
            },
            found["day"],
        )
    ]
    for client_id in booking["client_ids"]:
        items.append(
            put(
                {
                    "entity": "participation",
                    "pk": of,
                    "sk": f"CLIENT#{client_id}",
                    "client_pk": f"{base}#CLIENT#{client_id}",
                    "client_sk": f"{booking['start']}#{booking['id']}",
                    "business_id": business_id,
                    "booking_id": booking["id"],
                    "client_id": client_id,
                    "start": booking["start"],
                    "ahead": True,
                }
            )
        )
    items.append(
        put(
            {
                "entity": "booking",
                "pk": of,
                "sk": "BOOKING",
                "month_pk": f"{base}#MONTH#{booking['start'][:7]}",
                "month_sk": f"{int(start.timestamp()):012}#{booking['id']}",
                **booking,
            }
        )
    )
    if once:
        expires = now + timedelta(days=1)
        items.append(
            put(
                {
                    "entity": "answer",
                    "pk": f"{base}#ANSWERS",
                    "sk": f"ANSWER#{once['key_hash']}",
                    "business_id": business_id,
                    **once,
                    "body": in_json(booking),
                    "etag": booking["revision"],
                    "expires_at": written(expires),
                    "expires_epoch": int(expires.timestamp()),
                },
                kept,
            )
        )
    try:
        dynamodb.meta.client.transact_write_items(TransactItems=items)
    except ClientError as error:
        if error.response["Error"]["Code"] == "TransactionCanceledException":
            raise Problem(409, "somebody else was faster") from error
        raise
    return booking, warnings


def parse(body):
    try:
        asked = json.loads(body or "{}")
    except ValueError as error:
        raise Problem(400, "the body is no JSON") from error
    for field in ("location_id", "resource_id", "service_id", "start"):
        if not isinstance(asked.get(field), str):
            raise Problem(422, f"{field}: expected a text")
    clients = asked.get("client_ids")
    if not isinstance(clients, list) or not 1 <= len(clients) <= 20 or len(set(clients)) < len(clients):
        raise Problem(422, "client_ids: expected 1 to 20 different clients")
    if asked.get("source") not in ("online", "staff"):
        raise Problem(422, "source: expected online or staff")
    try:
        return asked, datetime.fromisoformat(asked["start"]).astimezone(timezone.utc)
    except ValueError as error:
        raise Problem(422, "start: expected a date and time that exist") from error


def read(business_id, asked, start, once):
    base = f"BUSINESS#{business_id}"
    kinds = {
        "business": "BUSINESS",
        "rules": "RULES",
        "location": f"LOCATION#{asked['location_id']}",
        "resource": f"RESOURCE#{asked['resource_id']}",
        "service": f"SERVICE#{asked['service_id']}",
    }
    days = [(start + timedelta(days=day)).date().isoformat() for day in (-1, 0, 1)]
    keys = [{"pk": base, "sk": sk} for sk in kinds.values()]
    keys += [{"pk": base, "sk": f"CLIENT#{client_id}"} for client_id in asked["client_ids"]]
    keys += [{"pk": f"{base}#RESOURCE#{asked['resource_id']}", "sk": f"DAY#{day}"} for day in days]
    if once:
        keys.append({"pk": f"{base}#ANSWERS", "sk": f"ANSWER#{once['key_hash']}"})
    got = dynamodb.batch_get_item(RequestItems={BOOKINGS_TABLE: {"Keys": keys, "ConsistentRead": True}})
    by_sk = {row["sk"]: row for row in got["Responses"].get(BOOKINGS_TABLE, [])}
    found = {kind: by_sk.get(sk) for kind, sk in kinds.items()}
    found["clients"] = [row for sk, row in by_sk.items() if sk.startswith("CLIENT#")]
    found["day"] = by_sk.get(f"DAY#{days[1]}")
    found["answer"] = next((row for sk, row in by_sk.items() if sk.startswith("ANSWER#")), None)
    return found


def parts_near(business_id, asked, start):
    """The client's bookings about the time of the new one: staff is warned when the client has been told of one like it."""
    first = (start - timedelta(days=1)).date().isoformat()
    last = (start + timedelta(days=2)).date().isoformat()
    parts = []
    for client_id in asked["client_ids"]:
        of_client = Key("client_pk").eq(f"BUSINESS#{business_id}#CLIENT#{client_id}")
        near = Key("client_sk").between(first, last)
        parts += bookings.query(IndexName="by_client", KeyConditionExpression=of_client & near)["Items"]
    return parts


def put_together(business_id, asked, start, found, now):
    business, location, resource = found["business"], found["location"], found["resource"]
    service = found["service"]
    if not business:
        raise Problem(404, "no such business")
    if not location:
        raise Problem(422, "location_id: expected a location of this business")
    if not resource or resource["location_id"] != location["id"]:
        raise Problem(422, "resource_id: expected a resource at this location")
    if not service:
        raise Problem(422, "service_id: expected a service of this business")
    if len(found["clients"]) < len(asked["client_ids"]):
        raise Problem(422, "client_ids: expected clients of this business")
    if asked.get("end"):
        end = datetime.fromisoformat(asked["end"]).astimezone(timezone.utc)
    else:
        end = start + timedelta(minutes=int(service["duration_minutes"]))
    if start - now > timedelta(days=366 * 3):
        raise Problem(422, "start: expected a time within the next three years")
    if end <= start or end - start > timedelta(days=7):
        raise Problem(422, "end: expected a time after the start")
    created = {"kind": "created", "revision": 1, "at": written(now), "by": asked["source"]}
    if "notify" in asked:
        created["notify"] = asked["notify"]
    booking = {
        "business_id": business_id,
        "id": uuid.uuid4().hex,
        "location_id": location["id"],
        "resource_id": resource["id"],
        "service_id": service["id"],
        "client_ids": asked["client_ids"],
        "start": written(start),
        "end": written(end),
        "zone": location.get("zone") or business["zone"],
        "source": asked["source"],
        "status": "pending" if asked["source"] == "online" else "confirmed",
        "revision": 1,
        "time_revision": 1,
        "history": [created],
        "confirmation": "none",
        "rules_version": found["rules"]["version"] if found["rules"] else 0,
        "reminders": asked.get("reminders"),
        "notes": asked.get("notes"),
        "price": asked.get("price") or service.get("price"),
    }
    return {name: value for name, value in booking.items() if value is not None}


def hold(booking, found):
    start, end = booking["start"], booking["end"]
    slots = found["day"]["slots"] if found["day"] else []
    taken = sum(1 for slot in slots if slot["start"] < end and start < slot["end"])
    if taken >= found["resource"]["capacity"]:
        raise Problem(409, "the resource is taken")
    slot = {"booking_id": booking["id"], "start": start, "end": end}
    return {
        "business_id": booking["business_id"],
        "resource_id": booking["resource_id"],
        "day": start[:10],
        "slots": [*slots, slot],
    }


def put(item, before=None):
    item["row_version"] = before["row_version"] + 1 if before else 1
    written_put = {"TableName": BOOKINGS_TABLE, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}
    if before:
        written_put["ConditionExpression"] = "row_version = :expected"
        written_put["ExpressionAttributeValues"] = {":expected": before["row_version"]}
    return {"Put": written_put}


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def written(instant):
    return instant.isoformat().replace("+00:00", "Z")
