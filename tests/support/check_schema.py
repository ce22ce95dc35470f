#!/usr/bin/python3
"""Checks a JSON document against the part of JSON Schema that contrib/docs uses: type, const, enum, required,
properties, items, anyOf, $ref into $defs, pattern, minimum, maxLength. A keyword it does not know is an error, so that
no rule of the schema goes unchecked. Members that the schema does not name are reported too: the daemon writes what is
documented and no more.

Usage: check_schema.py SCHEMA [FILE]   (standard input without FILE). Prints findings; exits 1 when there are any."""
import json
import re
import sys

KNOWN = {"$schema", "$defs", "title", "description", "type", "const", "enum", "required", "properties", "items", "anyOf",
         "$ref", "pattern", "minimum", "maxLength", "format"}
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def is_type(value, name):
    if name in ("integer", "number"):
        kinds = int if name == "integer" else (int, float)
        return isinstance(value, kinds) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


class Checker:
    def __init__(self, root):
        self.root = root

    def check(self, schema, value, at="$"):
        """The findings of `value` under `schema`."""
        unknown = set(schema) - KNOWN
        if unknown:
            raise ValueError("keywords without a check: %s" % ", ".join(sorted(unknown)))
        if "$ref" in schema:
            return self.check(self.root["$defs"][schema["$ref"].rsplit("/", 1)[1]], value, at)
        if "anyOf" in schema:
            tries = [self.check(s, value, at) for s in schema["anyOf"]]
            # Of branches that all fail, the one that got into the value says most.
            return [] if not all(tries) else max(tries, key=lambda f: " is no " not in f[0])
        return self.scalar(schema, value, at) + self.members(schema, value, at) + self.rows(schema, value, at)

    @staticmethod
    def scalar(schema, value, at):
        out = []
        names = schema.get("type", [])
        names = [names] if isinstance(names, str) else names
        if names and not any(is_type(value, n) for n in names):
            return ["%s: %r is no %s" % (at, value, " or ".join(names))]
        if "const" in schema and (value != schema["const"] or isinstance(value, bool) != isinstance(schema["const"], bool)):
            out.append("%s: %r is not %r" % (at, value, schema["const"]))
        if "enum" in schema and value not in schema["enum"]:
            out.append("%s: %r is none of %s" % (at, value, ", ".join(map(str, schema["enum"]))))
        if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
            out.append("%s: %r does not match %s" % (at, value, schema["pattern"]))
        if "minimum" in schema and is_type(value, "number") and value < schema["minimum"]:
            out.append("%s: %r is below %r" % (at, value, schema["minimum"]))
        if "maxLength" in schema and isinstance(value, str) and len(value) > schema["maxLength"]:
            out.append("%s: longer than %d" % (at, schema["maxLength"]))
        return out

    def members(self, schema, value, at):
        if not isinstance(value, dict):
            return []
        out = ["%s: %s is missing" % (at, k) for k in schema.get("required", []) if k not in value]
        named = schema.get("properties", {})
        for key, member in value.items():
            if key in named:
                out += self.check(named[key], member, "%s.%s" % (at, key))
            elif named:
                out.append("%s: %s is not in the schema" % (at, key))
        return out

    def rows(self, schema, value, at):
        if not isinstance(value, list) or "items" not in schema:
            return []
        return [f for i, v in enumerate(value) for f in self.check(schema["items"], v, "%s[%d]" % (at, i))]


def check(schema, value):
    return Checker(schema).check(schema, value)


def main():
    if len(sys.argv) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 64
    with open(sys.argv[1], encoding="utf-8") as f:
        schema = json.load(f)
    if len(sys.argv) == 3:
        with open(sys.argv[2], encoding="utf-8") as f:
            value = json.load(f)
    else:
        value = json.load(sys.stdin)
    findings = check(schema, value)
    for line in findings:
        print(line)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
