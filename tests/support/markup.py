"""Hostile text that must never become markup."""

from __future__ import annotations

MARKUP = (
    "<script>window.ran = 1</script>",
    "\"><img src=x onerror='window.ran = 1'>",
    "'><svg/onload=window.ran=1>",
    "</code></pre></title></style></textarea><script>window.ran = 1</script>",
    "]]><script>window.ran = 1</script><![CDATA[",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:window.ran=1",
    "&lt;script&gt;&#60;script&#62;&",
    "../../../etc/passwd\x00.html",
    "numpy\u202egnp.exe",
    "a\u200b\u2066b\ud800\udfff\ufeff",
    "e" + "\u0301" * 500,
    "\x1b[2J\x08\x7f",
    "--><script>window.ran = 1</script><!--",
)
