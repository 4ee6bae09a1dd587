// What aws-lambda-ric does, with nothing to compile: loads a handler and gives it one invocation after the other.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
import http from "node:http";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host, port, agent, method, path: `/2018-06-01/runtime/${path}` }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(chunks).toString() }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

const { handler } = await import(process.argv[2]);
for (;;) {
  const next = await call("GET", "invocation/next");
  const id = next.headers["lambda-runtime-aws-request-id"];
  const context = { awsRequestId: id, deadline: Number(next.headers["lambda-runtime-deadline-ms"]) };
  try {
    const answer = await handler(JSON.parse(next.body), context);
    await call("POST", `invocation/${id}/response`, JSON.stringify(answer));
  } catch (error) {
    const told = { errorType: error.name, errorMessage: error.message, stackTrace: error.stack?.split("\n") };
    await call("POST", `invocation/${id}/error`, JSON.stringify(told));
  }
}
