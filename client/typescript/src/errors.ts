// Errors that the client throws.

/** The code of a response that is none of the service. */
export const NO_JSON = "no_json";

/** Base class of the client's errors. */
export class AgentsiteError extends Error {
  override name = "AgentsiteError";
}

/** The service has refused the request, or a proxy before it. */
export class ApiError extends AgentsiteError {
  override name = "ApiError";
  /** The HTTP status. */
  readonly status: number;
  /** What programs rely on, such as `session_busy`; `no_json` if the response is none of the service. */
  readonly code: string;
  /** What happened, in English. */
  readonly detail: string;
  /** The problems by field. */
  readonly errors: Record<string, string[]>;
  /** Seconds after which the service wants to be asked again. */
  readonly retryAfter: number | null;
  /** The whole response, such as the existing decision of an `already_decided`. */
  readonly body: Record<string, unknown>;

  constructor(status: number, body: Record<string, unknown>, retryAfter: number | null = null) {
    const code = typeof body.code === "string" ? body.code : NO_JSON;
    const errors = (body.errors ?? {}) as Record<string, string[]>;
    const problems = Object.entries(errors).map(([field, texts]) => ` ${field}: ${texts.join(" ")}`);
    super(`${status} ${code}: ${body.detail ?? ""}${problems.join("")}`);
    this.status = status;
    this.code = code;
    this.detail = String(body.detail ?? "");
    this.errors = errors;
    this.retryAfter = retryAfter;
    this.body = body;
  }
}

/** The service could not be reached, or the connection broke before the response was there. */
export class Unreachable extends AgentsiteError {
  override name = "Unreachable";
}

/** The task has neither ended nor asked a question in the time that was given. It continues. */
export class NotInTime extends AgentsiteError {
  override name = "NotInTime";
}

/** Return the JSON of a response. Throws ApiError unless it is a success. */
export async function jsonOf(response: Response): Promise<any> {
  const text = await response.text();
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  if (response.ok && body !== undefined) return body;
  const given = response.headers.get("Retry-After") ?? "";
  const isObject = typeof body === "object" && body !== null && !Array.isArray(body);
  const described = isObject ? body : { detail: `${response.statusText}: ${text.slice(0, 200)}` };
  const retryAfter = /^\d+$/.test(given) ? Number(given) : null;
  throw new ApiError(response.status, described as Record<string, unknown>, retryAfter);
}
