"""Small templates for template_test.py, one point of Python's or Jinja's semantics each."""
CONVERSATION = {
    "messages": [{"role": "system", "content": "  Be brief.\n"},
                 {"role": "user", "content": "Hello, World! a,b,,c", "n": 3, "f": 2.5, "none": None, "yes": True,
                  "list": [1, "two", 3.0, None, [4, {"k": "v"}]], "map": {"b": 1, "a": "x", "items": 7}},
                 {"role": "assistant", "content": "<think>x</think>\n\nAnswer é 日本 🦙"},
                 {"role": "user", "content": ""}]}

_EXPRESSIONS = r"""
1 + 2 * 3 - 4 | 7 // 2 | -7 // 2 | 7 % 3 | -7 % 3 | 7 % -3 | 7 / 2 | 8 / 2 | 2 ** 10 | 2 ** 3 ** 2 | -2 ** 2 | 7.5 // 2 | -7.5 % 2
1e3 | 1.5e300 * 1e10 | 0.1 + 0.2 | 1e16 | 1e15 | 1.0 | 1e-5 | 0.0001 | 100000 * 1.0 | -0.0 | 1_000 | 3 == 3.0 | true == 1 | true + 1
'a' 'b' | 'a' ~ 1 ~ none ~ true ~ 1.0 | 'a' + 'b' | 'ab' * 3 | [1] * 2 | [1] + [2] | (1,) + (2, 3) | 'a' + 1 | 1 + none | [1] + (2,)
1 < 2 < 3 | 1 < 2 > 3 | 'a' < 'b' | 'B' < 'a' | [1, 2] < [1, 3] | 1 < 'a' | none < 1 | none == none | [1] == [1.0] | (1,) == [1] | 1 != '1'
'a' in 'abc' | 'x' not in 'abc' | 1 in [1, 2] | 'a' in {'a': 1} | 1 in 'abc' | '' in 'a' | none in [none] | 'z' in nothing | nothing in 'a'
not true | not '' | not [] | not {} | not 0 | not 0.0 | not none | not nothing | not 'a' and true | true or fail.x | false and fail.x | 1 and 2 | 0 or 'x' | '' or none
1 if true else 2 | 1 if false | 'a' if nothing else 'b' | (1 if false) is defined | 1 if 0 else 2 if 0 else 3
nothing | nothing.x | nothing['x'] | nothing + 'a' | 'a' + nothing | nothing ~ 'a' | nothing == nothing | nothing == none | nothing is none | nothing[0]
nothing is defined | nothing is undefined | nothing is string | nothing is sequence | nothing is iterable | nothing is mapping | nothing is number
1 is number | true is number | true is integer | 1 is integer | 1.0 is float | 'a' is string | [] is string | {} is mapping | [] is sequence | {} is sequence | 'a' is iterable
1 is iterable | true is true | 1 is true | false is false | none is none | true is boolean | 0 is boolean | 3 is odd | 4 is even | 9 is divisibleby 3 | 1 is eq 1 | 'a' is in ['a']
1 is not none | x is not defined and true | 'a' is equalto 'a' | 2 is gt 1 | 2 is lt 1 | 'abc' is lower | 'ABC' is upper | 'a1' is lower | '1' is lower
messages[1].content | messages[1]['content'] | messages[-1].role | messages[9] | messages[9].x | messages[1].nope | messages[1]['nope'] | messages[1].list[4][1].k
messages[1].map | messages[1].list | messages[1].none | messages[1].f | messages[1].yes | messages[1].map['items'] | messages[1].map.b | messages[1].content[0] | messages[1].content[-1] | 'abc'[5]
messages[1:] | length | 'abcdef'[1:4] | 'abcdef'[::-1] | 'abcdef'[::2] | 'abcdef'[-2:] | 'abcdef'[:-2] | 'abcdef'[4:1] | 'abcdef'[4:1:-1] | [1,2,3,4][1:3] | [1,2,3][::-1] | 'é日🦙x'[1:3] | 'abc'[100:] | 'abc'[-100:2]
['a', "it's", 'q"q', "b\n\t\\", 'é', '\x00'] | [true, none, 1.0, [], {}, ()] | (1,) | {'a': 1, 'b': [2]} | {} | [[1]] | ['\u200b', '日本', "'\""]
'  x '|trim | 'xxaxx'|trim('x') | 'abc'|length | 'é日🦙'|length | [1,2]|length | {'a':1}|length | 5|length | nothing|length | none|length
'aBc'|upper | 'aBc'|lower | 'hello world-foo bar_baz'|title | 'hELLO wORLD'|capitalize | "it's o'clock".title() | 'hELLO'.capitalize() | 1|upper | 'a b'|title | none|upper
[1,'a',none]|join | [1,'a']|join(', ') | 'abc'|join('-') | []|join(',') | messages|map(attribute='role')|join(',') | nothing|join | messages|join(',', attribute='role')
nothing|default('d') | ''|default('d') | ''|default('d', true) | none|default('d') | nothing|d | 0|default(5, boolean=true) | false|default('x')
[1,2]|first | [1,2]|last | []|first | 'abc'|first | 'abc'|last | {'a':1}|first | nothing|first | []|last is defined
'a-b-c'|replace('-', '+') | 'aaa'|replace('a', 'b', 2) | 'abc'|replace('', '.') | 1|replace(1, 2) | 'x'.replace('x', 'yy') | 'aaa'.replace('a','b',1)
'42'|int | '4.7'|int | 'x'|int | 'x'|int(7) | 3.9|int | -3.9|int | true|int | none|int | ' 12 '|int | '1_0'|int | '2.5'|float | 'x'|float | 3|float | 'x'|float(1.5)
1|string | none|string | [1,'a']|string | true|string + '!' | 'abc'|list | {'a':1,'b':2}|list | (1,2)|list | nothing|list
'abc'|reverse | [1,2,3]|reverse|list | {'b':1,'a':2}|items|list | {'b':1,'a':2}.items()|list | {'b':1}.keys()|list | {'b':1}.values()|list | {'b':1,'a':2}|dictsort | nothing|items|list
{'a': 1}.get('a') | {'a': 1}.get('b') | {'a': 1}.get('b', 'c') | {'a': none}.get('a', 'c') | [1,2,1].count(1) | [1,2].index(2) | [1].append(2) | {'a':1}.update({'b':2})
messages|selectattr('role','equalto','user')|list|length | messages|selectattr('role','in',['system','assistant'])|map(attribute='role')|list | messages|rejectattr('role','eq','user')|list|length | [0,1,2]|select|list | [0,1,2]|reject('odd')|list | [1,2,3]|select('gt', 1)|list
['a','b']|map('upper')|list | [[1,2],[3]]|map('length')|list | none|map('upper')|list | messages|map(attribute='n', default=0)|list | [3,1,2]|sort | ['b','A','c']|sort | [1,3,2]|sort(reverse=true) | messages|selectattr('n')|list|length
{'a':[1,2.0,none,true,'x"é'],'b':{}}|tojson | {'b':1,'a':[1,{'c':[]}]}|tojson(indent=2) | {'b':1,'a':2}|tojson(sort_keys=true) | 'é\n</'|tojson | [1,2]|tojson(separators=(',',':')) | nothing|tojson | 'é🦙'|tojson(ensure_ascii=true) | []|tojson(indent=4) | (1,2)|tojson | 1e100|tojson
'a\nb\n\nc'|indent | 'a\nb'|indent(2, true) | 'a\n\nb'|indent(2, false, true) | 'a\nb'|indent('>> ') | 'a\nb'|indent(first=true) | '<a href="x">&\'</a>'|e | -5|abs | -2.5|abs | ['b','a','b']|unique|list
'  a  b '.split() | 'a,b,,c'.split(',') | 'a,b,c'.split(',', 1) | 'a b c'.split(none, 1) | 'a,b,c'.rsplit(',', 1) | 'abc'.split('') | 'a\nb\r\nc'.splitlines() | ''.split(',') | ''.split() | 'x</think>y'.split('</think>')[-1]
' x '.strip() ~ '|' | 'xxaxx'.strip('x') | 'xyax'.lstrip('xy') | 'axyx'.rstrip('xy') | '\n\na\n'.lstrip('\n') | 'abc'.startswith('ab') | 'abc'.endswith(('x','c')) | 'abc'.find('c') | 'abc'.find('z') | 'é日'.find('日') | 'aXbX'.rfind('X') | 'abca'.count('a') | '12'.isdigit() | ','.join(['a','b']) | ','.join([1])
range(3)|list | range(1,4)|list | range(5,0,-2)|list | range(3) is iterable | range(3)|length | range(0)|list | range(2)[1] | range(1,2,0) | dict(a=1, b='x') | namespace(a=1).a | raise_exception('no')
"a\tb\\n" | 'it\'s' | "\u00e9\x41\101" | 'a\qb' | 'a' if messages else 'b' | messages[0].content|trim ~ '!' | strftime_now('%d %B %Y, %A %j') | strftime_now('%H:%M:%S %p %y-%m') | (1, 2)[0] | {'a': {'b': 1}}.a.b | 'x'.upper().lower() | [1,2,3][-1:][0] | 1.5|int + 1
"""

_STATEMENTS = [
    "{% for m in messages %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}",
    "{% for m in messages if m.role == 'user' %}{{ loop.index }}/{{ loop.length }}{% endfor %}",
    "{% for x in [] %}a{% else %}none{% endfor %}", "{% for x in nothing %}a{% else %}none{% endfor %}",
    "{% for k, v in messages[1].map.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k in messages[1].map %}{{ k }}{% endfor %}",
    "{% for a, b in [(1, 2), [3, 4]] %}{{ a }}{{ b }}{% endfor %}", "{% for a, b in [(1, 2, 3)] %}x{% endfor %}",
    "{% for c in 'aé' %}{{ c }}.{% endfor %}", "{% for x in 5 %}{% endfor %}", "{% for x in none %}{% endfor %}",
    "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% for i in range(2) %}{% for j in range(2) %}{{ loop.index }}{{ loop.depth }}{% endfor %}{{ loop.index }};{% endfor %}",
    "{% for x in [1,2,3] %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}", "{% for x in 'abc' %}{{ loop.cycle('x', 'y') }}{% endfor %}",
    "{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{{ x }}{% endfor %}{{ x }}", "{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}",
    "{% set ns = namespace(x=1) %}{% for i in [1,2] %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}", "{% set a, b = 1, 2 %}{{ b }}{{ a }}",
    "{% set x %} a{{ 1 }} {% endset %}[{{ x }}]", "{% set x | upper %}ab{% endset %}{{ x }}", "{% set x = 1, 2 %}{{ x }}", "{% set o = 1 %}{% set o.x = 2 %}",
    "{% macro m(a, b='d', c=none) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }}|{{ m(1, 2) }}|{{ m(1, c=3) }}|{{ m(b=2, a=1) }}",
    "{% macro m(a) %}[{{ a }}]{% endmacro %}{{ m() }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(z=1) }}",
    "{% macro f(n) %}{% if n %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(4) }}", "{% macro m() %}{{ late }}{% endmacro %}{% set late = 7 %}{{ m() }}",
    "{% macro m() %}x{% endmacro %}{{ m() | upper ~ m() }}", "{% macro m(a, b=a) %}{{ b }}{% endmacro %}{{ m(3) }}",
    "{% filter upper %}ab{{ 'c' }}{% endfilter %}", "{% filter replace('a', 'b') | upper %}aXa{% endfilter %}",
    "{% generation %}a{{ 1 }}{% endgeneration %}b", "{% raw %}{{ x }}{% y %}{% endraw %}", "a{# {{ no }} #}b", "a  {#- c -#}  b",
    "a\n  {% if true %}  \n  b\n  {% endif %}\nc", "a\n  {%- if true -%}  \n  b\n  {%- endif %}\nc", "a \n {{- 1 -}} \n b", "a\n  {{ 1 }}\n  b",
    "a\n {%+ if true %}x{% endif +%}\nb", "{% if true %}\n\nx\n{% endif %}\n", "x\n", "x\n\n", "a\r\nb\rc", "  {# c #}\n x", "a {# c #} \n x", "\t{% set x = 1 %}\n{{ x }}",
    "{% if 0 %}a{% elif '' %}b{% elif [0] %}c{% else %}d{% endif %}", "{% if messages[0].role == 'system' and messages|length > 1 %}y{% endif %}",
    "{% set m = messages[1:] %}{% for x in m %}{{ x.role[0] }}{% endfor %}", "{% if nothing.x is defined %}a{% endif %}", "{% if messages[0].x.y %}a{% endif %}",
    "{%- for m in messages -%}\n {{ m.role }}:\n {%- endfor %}", "{{ messages }}", "{{ 1 }}\n{{ 2 }}\n", "{{ {'a': {'b': '}}'}}['a']['b'] }}", "{{ '%}' }}{% if '%}' %}x{% endif %}",
    "{{ 'a' }}{{ \"b\" }}{{- 'c' }} {{ 'd' -}} e", "{{ [1, 2,] }}{{ (1, 2,) }}{{ {'a': 1,} }}", "{{ 1, 2 }}", "{{ messages[0]['content'].strip().split(' ')[0] }}", "{{ x.y = 1 }}", "{% if %}{% endif %}",
    "{{ 'unclosed }}", "{% for %}{% endfor %}", "{{ 1 +}}", "{{ (1 }}", "{% endif %}", "{{ }}", "{% set x %}", "{{ a b }}", "{%- set ns = namespace(found=false) -%}{%- for m in messages[::-1] -%}{%- if not ns.found and m.role == 'user' -%}{%- set ns.found = true -%}{{ loop.index0 }}{%- endif -%}{%- endfor -%}",
]


def _split(line):
    """At ' | ' outside of strings."""
    out, part, quote, i = [], "", None, 0
    while i < len(line):
        if quote is None and line.startswith(" | ", i):
            out.append(part)
            part, i = "", i + 3
            continue
        if line[i] == "\\" and quote:
            part += line[i]
            i += 1
        elif line[i] in "'\"":
            quote = None if quote == line[i] else quote or line[i]
        part += line[i]
        i += 1
    return out + [part]


SNIPPETS = ["{{ " + e.strip() + " }}" for line in _EXPRESSIONS.strip().split("\n") for e in _split(line)] + _STATEMENTS
