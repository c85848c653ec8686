"""Tests of a script, and of the same script with something wrong planted in it, which they must find."""


def run(name, script, tests, wrong, play):
    """Plays each test, then each one of `wrong`: what is right in the script, what is put in its place, and the test that must fail."""
    for test in tests:
        play(test)
    for right, planted, test in wrong:
        assert right in script.read_text(), f"the script has no {right}"
        try:
            play(test, lambda text, right=right, planted=planted: text.replace(right, planted))
        except AssertionError:
            continue
        raise AssertionError(f"not found: {planted}")
    print(f"{name}={len(tests)} refused={len(wrong)}")
