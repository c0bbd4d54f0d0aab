"""TAP output for the system tests, and relaying a test kernel's own TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import re
import sys

RESULT = re.compile(r"^(not )?ok (\d+) - (.*)$")
PLAN = re.compile(r"^1\.\.(\d+)$")


class Tap:
    """Counts what is reported; status() is for sys.exit()."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def check(self, good, name, detail=""):
        """Report one test; the detail is shown when it fails."""
        self.count += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.count} - {name}", flush=True)
        if not good and detail:
            print("\n".join(line if line.startswith("#") else "# " + line
                            for line in str(detail).splitlines()), flush=True)
        return good

    def skip(self, name, reason):
        """Report a test that was not run, and why."""
        self.count += 1
        print(f"ok {self.count} - {name} # SKIP {reason}", flush=True)

    def relay(self, text, prefix, expected=()):
        """Repeat the results in a test kernel's output; the number of them, and its plan.

        expected holds (test name, reason) pairs of known differences of the reference."""
        seen, plan = 0, None
        reasons = dict(expected)
        for line in text.splitlines():
            match = RESULT.match(line)
            if match:
                seen += 1
                name = match.group(3)
                base = name.split(" (got ")[0]
                if match.group(1) and base in reasons:
                    self.skip(f"{prefix}{base}", reasons[base])
                elif "# SKIP" in name:
                    self.skip(*(f"{prefix}{name}".split(" # SKIP ", 1)))
                else:
                    self.check(not match.group(1), f"{prefix}{name}")
            elif PLAN.match(line):
                plan = int(PLAN.match(line).group(1))
        return seen, plan

    def done(self):
        """Print the plan and leave with the right status."""
        print(f"1..{self.count}")
        sys.exit(1 if self.failed or not self.count else 0)
