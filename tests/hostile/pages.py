"""What a hostile address of the admin holds."""

# Values of a parameter or an id, percent-encoded.
VALUES: dict[str, str] = {
    "a NUL": "%00",
    "a NUL as the admin quotes it": "_00",
    "an encoded NUL": "%2500",
    "bytes": "%ff%fe",
    "nothing": "",
    "a word": "x",
    "two dots": "..",
    "2**63": "9223372036854775808",
    "30 digits": "1" * 30,
    "5,000 digits": "1" * 5_000,
    "not a number": "nan",
    "digits of another script": "%d9%a1",
    "the first moment": "0001-01-01T00:00:00%2b14:00",
    "the last moment": "9999-12-31T23:59:59-14:00",
    "a year that is none": "0",
    "the last year": "9999",
    "a month that is none": "13",
    "a UUID in braces": "{00000000-0000-0000-0000-000000000000}",
    "a thousand words": "+".join(["x"] * 1_000),
    "10,000 letters": "x" * 10_000,
}
