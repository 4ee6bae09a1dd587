// Makes a booking: the request is counted, one batch read and one query, one transaction that also holds the resource and keeps the answer.
import { createHash, randomUUID } from "node:crypto";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import {
  BatchGetCommand,
  DynamoDBDocumentClient,
  QueryCommand,
  TransactWriteCommand,
  UpdateCommand,
} from "@aws-sdk/lib-dynamodb";

const { BOOKINGS_TABLE, MESSAGES_TABLE } = process.env;
const REQUESTS_PER_MINUTE = Number(process.env.REQUESTS_PER_MINUTE);
const MINUTE = 60_000;
const DAY = 86_400_000;
const tables = DynamoDBDocumentClient.from(new DynamoDBClient({}), { marshallOptions: { removeUndefinedValues: true } });

export async function handler(event) {
  const now = new Date(Math.max(Date.now(), event.requestContext.timeEpoch));
  const { business_id, role } = event.requestContext.authorizer?.lambda ?? {};
  try {
    if (!business_id) throw new Problem(401, "nobody");
    if (!["owner", "manager", "staff"].includes(role)) throw new Problem(403, "forbidden");
    const remaining = await admit(business_id, now);
    if (event.routeKey !== "POST /v1/bookings") throw new Problem(404, "no route");
    const { booking, warnings } = await createBooking(business_id, event, now);
    const headers = {
      location: `/v1/bookings/${booking.id}`,
      etag: `"${booking.revision}"`,
      "ratelimit-policy": `"requests";q=${REQUESTS_PER_MINUTE};w=60`,
      ratelimit: `"requests";r=${remaining};t=${60 - now.getUTCSeconds()}`,
    };
    return answer(201, { ...booking, ...(warnings.length && { warnings }) }, headers);
  } catch (error) {
    if (error instanceof Problem) return answer(error.status, { title: error.message });
    console.log(JSON.stringify({ level: "ERROR", message: "a request failed", error: String(error) }));
    return answer(500, { title: "internal error" });
  }
}

class Problem extends Error {
  constructor(status, title) {
    super(title);
    this.status = status;
  }
}

function answer(statusCode, body, headers = {}) {
  const type = statusCode < 400 ? "application/json" : "application/problem+json";
  return { statusCode, headers: { "content-type": type, ...headers }, body: JSON.stringify(body), isBase64Encoded: false };
}

// Requests of the present minute that this sandbox has taken and not given out, by business.
let slices = { minute: 0, of: new Map() };

async function admit(business, now) {
  const minute = Math.floor(now / MINUTE);
  if (minute > slices.minute) slices = { minute, of: new Map() };
  let slice = slices.of.get(business);
  if (!slice?.taken) {
    const add = Math.min(20, Math.max(1, Math.floor(REQUESTS_PER_MINUTE / 30)));
    const counted = await tables
      .send(
        new UpdateCommand({
          TableName: MESSAGES_TABLE,
          Key: { pk: `BUSINESS#${business}#METER`, sk: `REQUESTS#${minute}` },
          UpdateExpression: "ADD counted :add SET expires_epoch = :expires",
          ConditionExpression: "attribute_not_exists(counted) OR counted <= :room",
          ExpressionAttributeValues: {
            ":add": add,
            ":room": REQUESTS_PER_MINUTE - add,
            ":expires": Math.floor(now / 1000) + 3600,
          },
          ReturnValues: "UPDATED_NEW",
        }),
      )
      .catch((error) => {
        if (error.name === "ConditionalCheckFailedException") throw new Problem(429, "too many requests");
        throw error;
      });
    slice = { taken: add, left: REQUESTS_PER_MINUTE - counted.Attributes.counted };
    slices.of.set(business, slice);
  }
  slice.taken -= 1;
  return slice.taken + slice.left;
}

async function createBooking(business_id, event, now) {
  const asked = parse(event.body);
  const key = event.headers["idempotency-key"];
  const once = key && { key_hash: sha256(key), request_hash: sha256(`POST ${event.rawPath}\n${event.body}`) };
  const [found, parts] = await Promise.all([read(business_id, asked, once), partsNear(business_id, asked)]);

  if (found.answer && Date.parse(found.answer.expires_at) > now) {
    if (found.answer.request_hash !== once.request_hash) throw new Problem(422, "this Idempotency-Key was used before");
    return { booking: JSON.parse(found.answer.body), warnings: [] };
  }
  const booking = putTogether(business_id, asked, found, now);
  const day = hold(booking, found);
  const warnings = parts
    .filter((part) => part.start.slice(0, 10) === booking.start.slice(0, 10))
    .map(({ booking_id }) => ({ kind: "already_told", booking_id }));

  const base = `BUSINESS#${business_id}`;
  const of = `${base}#BOOKING#${booking.id}`;
  const month = booking.start.slice(0, 7);
  const second = String(Date.parse(booking.start) / 1000).padStart(12, "0");
  const items = [
    put({ entity: "resource_day", pk: `${base}#RESOURCE#${booking.resource_id}`, sk: `DAY#${day.day}`, ...day }, found.day),
    ...booking.client_ids.map((client_id) =>
      put({
        entity: "participation",
        pk: of,
        sk: `CLIENT#${client_id}`,
        client_pk: `${base}#CLIENT#${client_id}`,
        client_sk: `${booking.start}#${booking.id}`,
        business_id,
        booking_id: booking.id,
        client_id,
        start: booking.start,
        ahead: true,
      }),
    ),
    put({
      entity: "booking",
      pk: of,
      sk: "BOOKING",
      month_pk: `${base}#MONTH#${month}`,
      month_sk: `${second}#${booking.id}`,
      ...booking,
    }),
  ];
  if (once) {
    const expires = new Date(+now + DAY);
    items.push(
      put(
        {
          entity: "answer",
          pk: `${base}#ANSWERS`,
          sk: `ANSWER#${once.key_hash}`,
          business_id,
          ...once,
          body: JSON.stringify(booking),
          etag: booking.revision,
          expires_at: expires.toISOString(),
          expires_epoch: Math.floor(expires / 1000),
        },
        found.answer,
      ),
    );
  }
  await tables.send(new TransactWriteCommand({ TransactItems: items })).catch((error) => {
    if (error.name === "TransactionCanceledException") throw new Problem(409, "somebody else was faster");
    throw error;
  });
  return { booking, warnings };
}

function parse(body) {
  let asked;
  try {
    asked = JSON.parse(body ?? "{}");
  } catch {
    throw new Problem(400, "the body is no JSON");
  }
  for (const field of ["location_id", "resource_id", "service_id", "start"]) {
    if (typeof asked[field] !== "string") throw new Problem(422, `${field}: expected a text`);
  }
  const clients = asked.client_ids;
  if (!Array.isArray(clients) || !(clients.length >= 1 && clients.length <= 20) || new Set(clients).size < clients.length) {
    throw new Problem(422, "client_ids: expected 1 to 20 different clients");
  }
  if (!["online", "staff"].includes(asked.source)) throw new Problem(422, "source: expected online or staff");
  if (Number.isNaN(Date.parse(asked.start))) throw new Problem(422, "start: expected a date and time that exist");
  return asked;
}

async function read(business_id, asked, once) {
  const base = `BUSINESS#${business_id}`;
  const kinds = {
    business: "BUSINESS",
    rules: "RULES",
    location: `LOCATION#${asked.location_id}`,
    resource: `RESOURCE#${asked.resource_id}`,
    service: `SERVICE#${asked.service_id}`,
  };
  const start = Date.parse(asked.start);
  const days = [start - DAY, start, start + DAY].map((day) => new Date(day).toISOString().slice(0, 10));
  const Keys = [
    ...Object.values(kinds).map((sk) => ({ pk: base, sk })),
    ...asked.client_ids.map((id) => ({ pk: base, sk: `CLIENT#${id}` })),
    ...days.map((day) => ({ pk: `${base}#RESOURCE#${asked.resource_id}`, sk: `DAY#${day}` })),
  ];
  if (once) Keys.push({ pk: `${base}#ANSWERS`, sk: `ANSWER#${once.key_hash}` });
  const { Responses } = await tables.send(
    new BatchGetCommand({ RequestItems: { [BOOKINGS_TABLE]: { Keys, ConsistentRead: true } } }),
  );
  const rows = Responses[BOOKINGS_TABLE] ?? [];
  const found = Object.fromEntries(Object.entries(kinds).map(([kind, sk]) => [kind, rows.find((row) => row.sk === sk)]));
  return {
    ...found,
    clients: rows.filter((row) => row.sk.startsWith("CLIENT#")),
    day: rows.find((row) => row.sk === `DAY#${days[1]}`),
    answer: rows.find((row) => row.sk.startsWith("ANSWER#")),
  };
}

// The client's bookings about the time of the new one: staff is warned when the client has been told of one like it.
async function partsNear(business_id, asked) {
  const start = Date.parse(asked.start);
  const day = (at) => new Date(at).toISOString().slice(0, 10);
  const answers = await Promise.all(
    asked.client_ids.map((id) =>
      tables.send(
        new QueryCommand({
          TableName: BOOKINGS_TABLE,
          IndexName: "by_client",
          KeyConditionExpression: "client_pk = :pk AND client_sk BETWEEN :from AND :until",
          ExpressionAttributeValues: {
            ":pk": `BUSINESS#${business_id}#CLIENT#${id}`,
            ":from": day(start - DAY),
            ":until": day(start + 2 * DAY),
          },
        }),
      ),
    ),
  );
  return answers.flatMap(({ Items }) => Items ?? []);
}

function putTogether(business_id, asked, found, now) {
  const { business, location, resource, service, clients } = found;
  if (!business) throw new Problem(404, "no such business");
  if (!location) throw new Problem(422, "location_id: expected a location of this business");
  if (resource?.location_id !== location.id) throw new Problem(422, "resource_id: expected a resource at this location");
  if (!service) throw new Problem(422, "service_id: expected a service of this business");
  if (clients.length < asked.client_ids.length) throw new Problem(422, "client_ids: expected clients of this business");
  const start = new Date(asked.start);
  const end = asked.end ? new Date(asked.end) : new Date(+start + service.duration_minutes * MINUTE);
  if (start - now > 366 * 3 * DAY) throw new Problem(422, "start: expected a time within the next three years");
  if (end <= start || end - start > 7 * DAY) throw new Problem(422, "end: expected a time after the start");
  return {
    business_id,
    id: randomUUID().replaceAll("-", ""),
    location_id: location.id,
    resource_id: resource.id,
    service_id: service.id,
    client_ids: asked.client_ids,
    start: start.toISOString(),
    end: end.toISOString(),
    zone: location.zone ?? business.zone,
    source: asked.source,
    status: asked.source === "online" ? "pending" : "confirmed",
    revision: 1,
    time_revision: 1,
    history: [{ kind: "created", revision: 1, at: now.toISOString(), by: asked.source, notify: asked.notify }],
    confirmation: "none",
    rules_version: found.rules?.version ?? 0,
    reminders: asked.reminders,
    notes: asked.notes,
    price: asked.price ?? service.price,
  };
}

function hold({ business_id, id, resource_id, start, end }, { resource, day }) {
  const slots = day?.slots ?? [];
  const taken = slots.filter((slot) => slot.start < end && start < slot.end).length;
  if (taken >= resource.capacity) throw new Problem(409, "the resource is taken");
  return { business_id, resource_id, day: start.slice(0, 10), slots: [...slots, { booking_id: id, start, end }] };
}

function put(item, before) {
  const Item = { ...item, row_version: (before?.row_version ?? 0) + 1 };
  const condition = before
    ? { ConditionExpression: "row_version = :expected", ExpressionAttributeValues: { ":expected": before.row_version } }
    : { ConditionExpression: "attribute_not_exists(pk)" };
  return { Put: { TableName: BOOKINGS_TABLE, Item, ...condition } };
}

function sha256(text) {
  return createHash("sha256").update(text).digest("hex");
}
