"""What a check says of the whole: a weakness is no fault, a dead port is a line, shown once."""

import pytest

import llmframe as lf


def line(check, name):
    return next(one for one in check.lines if one.name == name)


@pytest.mark.parametrize("fault", ["malformed", "null_content"])
def test_an_answer_that_does_not_follow_the_format_is_a_weakness_and_no_fault(configured, fault):
    configured.update(faults={fault: 1.0})
    check = lf.check()
    assert check.ok
    assert "does not follow it" in line(check, "response format").found
    assert line(check, "response format").cure.startswith("Expect some failed rows")
    assert repr(check).endswith(": it works, but read the advice>")


def test_a_port_where_nothing_listens_is_a_line_and_no_error():
    check = lf.check(base_url="http://127.0.0.1:9/v1", provider="vllm")
    assert not check.ok
    assert line(check, "reachable").ok is False
    assert "start vLLM" in line(check, "reachable").cure
    assert line(check, "price").found == "not checked"


def test_a_check_that_is_printed_is_printed_once(configured, capsys):
    print(lf.check())
    assert capsys.readouterr().out.count("reachable") == 1
    lf.check()
    assert capsys.readouterr().out.count("reachable") == 1
