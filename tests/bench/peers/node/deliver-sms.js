// Sends due text messages by SNS: one batch read, a claim, the provider's call, the record of it.
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { BatchGetCommand, DynamoDBDocumentClient, PutCommand } from "@aws-sdk/lib-dynamodb";
import { PublishCommand, SNSClient } from "@aws-sdk/client-sns";

const { BOOKINGS_TABLE, MESSAGES_TABLE } = process.env;
const tables = DynamoDBDocumentClient.from(new DynamoDBClient({}), { marshallOptions: { removeUndefinedValues: true } });
const sns = new SNSClient({ maxAttempts: 1 });

export async function handler(event, context) {
  const batchItemFailures = [];
  for (const record of event.Records) {
    try {
      const due = JSON.parse(record.body);
      const outcome = await deliver(due, context);
      console.log(JSON.stringify({ level: "INFO", message: "delivered", id: due.message_id, outcome }));
    } catch (error) {
      console.log(JSON.stringify({ level: "ERROR", message: "could not deliver", error: String(error) }));
      batchItemFailures.push({ itemIdentifier: record.messageId });
    }
  }
  return { batchItemFailures };
}

async function deliver(due, context) {
  const now = new Date(Math.max(Date.now(), Date.parse(due.at)));
  const { message, ...facts } = await read(due);
  if (!message || !facts.booking) return "gone";
  if (!["planned", "deferred", "queued"].includes(message.status)) return "settled";

  const reason = whyNot(facts, message, now);
  const trace = { at: now.toISOString(), rules_version: facts.booking.rules_version, checks: reason ?? "send" };
  message.traces = [...message.traces.slice(0, 1), trace];
  if (reason) {
    await write(message, { status: "suppressed", reason });
    return reason;
  }

  const text = compose(facts);
  await write(message, {
    status: "sending",
    lease: { until: new Date(context.deadline).toISOString(), holder: context.awsRequestId },
    attempts: message.attempts + 1,
    address: facts.client.phone,
    segments: segments(text),
    text,
  });
  const sent = await sns.send(
    new PublishCommand({
      PhoneNumber: facts.client.phone,
      Message: text,
      MessageAttributes: { "AWS.SNS.SMS.SMSType": { DataType: "String", StringValue: "Transactional" } },
    }),
  );
  await write(message, {
    status: "accepted",
    lease: undefined,
    provider_id: sent.MessageId,
    sent_at: now.toISOString(),
  });
  return "accepted";
}

async function read({ message_id, type, refs }) {
  const business = `BUSINESS#${refs.business_id}`;
  const booking = `${business}#BOOKING#${refs.booking_id}`;
  const kinds = {
    business: "BUSINESS",
    location: `LOCATION#${refs.location_id}`,
    resource: `RESOURCE#${refs.resource_id}`,
    service: `SERVICE#${refs.service_id}`,
    client: `CLIENT#${refs.client_ids[0]}`,
    templates: `TEMPLATES#${type}`,
    linkKeys: "LINK-KEYS",
  };
  const keys = [{ pk: booking, sk: "BOOKING" }, ...Object.values(kinds).map((sk) => ({ pk: business, sk }))];
  const answer = await tables.send(
    new BatchGetCommand({
      RequestItems: {
        [BOOKINGS_TABLE]: { Keys: keys, ConsistentRead: true },
        [MESSAGES_TABLE]: { Keys: [{ pk: booking, sk: `MESSAGE#${message_id}` }], ConsistentRead: true },
      },
    }),
  );
  const rows = answer.Responses[BOOKINGS_TABLE] ?? [];
  const facts = Object.fromEntries(Object.entries(kinds).map(([kind, sk]) => [kind, rows.find((row) => row.sk === sk)]));
  return {
    ...facts,
    booking: rows.find((row) => row.sk === "BOOKING"),
    message: answer.Responses[MESSAGES_TABLE]?.[0],
  };
}

async function write(message, changes) {
  const expected = message.row_version;
  Object.assign(message, changes, { row_version: expected + 1 });
  await tables.send(
    new PutCommand({
      TableName: MESSAGES_TABLE,
      Item: message,
      ConditionExpression: "row_version = :expected",
      ExpressionAttributeValues: { ":expected": expected },
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    }),
  );
}

function whyNot({ business, location, booking, client }, message, now) {
  if (!["pending", "confirmed"].includes(booking.status) || booking.time_revision !== message.revision) return "not_owed";
  if (!business.sms_enabled) return "sms_off";
  if (!client?.phone) return "no_address";
  if (client.suppressions?.some(({ address }) => address === client.phone)) return "address_suppressed";
  if (client.bans?.channels?.includes("sms") || client.bans?.types?.includes(message.type)) return "banned";
  if (now >= new Date(booking.start)) return "too_late";
  if (isQuiet(business.quiet_hours, client.zone ?? location.zone ?? business.zone, now)) return "quiet_hours";
}

function isQuiet(window, timeZone, now) {
  if (!window) return false;
  const clock = now.toLocaleTimeString("en-GB", { timeZone, hour: "2-digit", minute: "2-digit" });
  const { from, until } = window;
  return from <= until ? from <= clock && clock < until : from <= clock || clock < until;
}

function compose({ business, location, service, booking, client }) {
  const when = new Date(booking.start).toLocaleString(client.locale ?? business.locale, {
    timeZone: booking.zone,
    weekday: "long",
    day: "numeric",
    month: "long",
    hour: "numeric",
    minute: "2-digit",
  });
  return `We expect you for ${service.name} on ${when}, ${location.name}.`;
}

const GSM_7 = /^[\n\r -_a-z¡£¤¥§¿ÄÅÆÇÉÑÖØÜßàäåæèéìñòöøùüΓΔΘΛΞΠΣΦΨΩ€{}~|^\\[\]]*$/;

function segments(text) {
  const [one, many] = GSM_7.test(text) ? [160, 153] : [70, 67];
  return text.length <= one ? 1 : Math.ceil(text.length / many);
}
