"""Sends due text messages by SNS: one batch read, a claim, the provider's call, the record of it."""

import json
import logging
import math
import os
import re
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import boto3
from botocore.config import Config

BOOKINGS_TABLE = os.environ["BOOKINGS_TABLE"]
MESSAGES_TABLE = os.environ["MESSAGES_TABLE"]

logger = logging.getLogger()
logger.setLevel(logging.INFO)

dynamodb = boto3.resource("dynamodb")
messages = dynamodb.Table(MESSAGES_TABLE)
sns = boto3.client("sns", config=Config(retries={"total_max_attempts": 1}))


def handler(event, context):
    failures = []
    for record in event["Records"]:
        try:
            due = json.loads(record["body"])
            outcome = deliver(due, context)
            logger.info(json.dumps({"message": "delivered", "id": due["message_id"], "outcome": outcome}))
        except Exception as error:
            logger.error(json.dumps({"message": "could not deliver", "error": str(error)}))
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}


def deliver(due, context):
    now = max(datetime.now(timezone.utc), datetime.fromisoformat(due["at"]))
    message, facts = read(due)
    if not message or not facts["booking"]:
        return "gone"
    if message["status"] not in ("planned", "deferred", "queued"):
        return "settled"

    reason = why_not(facts, message, now)
    trace = {"at": written(now), "rules_version": facts["booking"]["rules_version"], "checks": reason or "send"}
    message["traces"] = [*message["traces"][:1], trace]
    if reason:
        write(message, status="suppressed", reason=reason)
        return reason

    phone = facts["client"]["phone"]
    text = compose(facts)
    deadline = datetime.now(timezone.utc).timestamp() + context.get_remaining_time_in_millis() / 1000
    lease = {"until": written(datetime.fromtimestamp(deadline, timezone.utc)), "holder": context.aws_request_id}
    write(
        message,
        status="sending",
        lease=lease,
        attempts=message["attempts"] + 1,
        address=phone,
        segments=segments(text),
        text=text,
    )
    sent = sns.publish(
        PhoneNumber=phone,
        Message=text,
        MessageAttributes={"AWS.SNS.SMS.SMSType": {"DataType": "String", "StringValue": "Transactional"}},
    )
    del message["lease"]
    write(message, status="accepted", provider_id=sent["MessageId"], sent_at=written(now))
    return "accepted"


def read(due):
    refs = due["refs"]
    business = f"BUSINESS#{refs['business_id']}"
    booking = f"{business}#BOOKING#{refs['booking_id']}"
    kinds = {
        "business": "BUSINESS",
        "location": f"LOCATION#{refs['location_id']}",
        "resource": f"RESOURCE#{refs['resource_id']}",
        "service": f"SERVICE#{refs['service_id']}",
        "client": f"CLIENT#{refs['client_ids'][0]}",
        "templates": f"TEMPLATES#{due['type']}",
        "link_keys": "LINK-KEYS",
    }
    keys = [{"pk": booking, "sk": "BOOKING"}, *({"pk": business, "sk": sk} for sk in kinds.values())]
    answer = dynamodb.batch_get_item(
        RequestItems={
            BOOKINGS_TABLE: {"Keys": keys, "ConsistentRead": True},
            MESSAGES_TABLE: {
                "Keys": [{"pk": booking, "sk": f"MESSAGE#{due['message_id']}"}],
                "ConsistentRead": True,
            },
        }
    )
    by_sk = {row["sk"]: row for row in answer["Responses"].get(BOOKINGS_TABLE, [])}
    facts = {kind: by_sk.get(sk) for kind, sk in kinds.items()}
    facts["booking"] = by_sk.get("BOOKING")
    message = next(iter(answer["Responses"].get(MESSAGES_TABLE, [])), None)
    return message, facts


def write(message, **changes):
    expected = message["row_version"]
    message.update(changes, row_version=expected + 1)
    messages.put_item(
        Item=message,
        ConditionExpression="row_version = :expected",
        ExpressionAttributeValues={":expected": expected},
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )


def why_not(facts, message, now):
    business, booking, client = facts["business"], facts["booking"], facts["client"]
    if booking["status"] not in ("pending", "confirmed") or booking["time_revision"] != message["revision"]:
        return "not_owed"
    if not business.get("sms_enabled"):
        return "sms_off"
    if not client or not client.get("phone"):
        return "no_address"
    if any(one["address"] == client["phone"] for one in client.get("suppressions", [])):
        return "address_suppressed"
    bans = client.get("bans", {})
    if "sms" in bans.get("channels", []) or message["type"] in bans.get("types", []):
        return "banned"
    if now >= datetime.fromisoformat(booking["start"]):
        return "too_late"
    zone = client.get("zone") or facts["location"].get("zone") or business["zone"]
    if is_quiet(business.get("quiet_hours"), zone, now):
        return "quiet_hours"
    return None


def is_quiet(window, zone, now):
    if not window:
        return False
    clock = now.astimezone(ZoneInfo(zone)).strftime("%H:%M")
    start, end = window["from"], window["until"]
    return start <= clock < end if start <= end else start <= clock or clock < end


def compose(facts):
    booking = facts["booking"]
    start = datetime.fromisoformat(booking["start"]).astimezone(ZoneInfo(booking["zone"]))
    when = f"{start:%A}, {start.day} {start:%B at %H:%M}"
    return f"We expect you for {facts['service']['name']} on {when}, {facts['location']['name']}."


GSM_7 = re.compile(r"[\n\r -_a-z¡£¤¥§¿ÄÅÆÇÉÑÖØÜßàäåæèéìñòöøùüΓΔΘΛΞΠΣΦΨΩ€{}~|^\\\[\]]*")


def segments(text):
    one, many = (160, 153) if GSM_7.fullmatch(text) else (70, 67)
    return 1 if len(text) <= one else math.ceil(len(text) / many)


def written(instant):
    return instant.isoformat().replace("+00:00", "Z")
