{% macro instant(text) -%}
    {#- The instant that a person writes for `as_of`, as a timestamp in UTC: a day is its first moment, an offset is
        counted in. Refused: any other text, a day that no calendar has, a time before 1900 or after the build's start.
        The twin of `ml.core.instants.past_instant`; a test holds the two together.
        Arguments: text.
        Use: `{{ instant(var('as_of')) }}`; of '2024-03-01T00:00+07:00' it makes
        `timestamp '2024-02-29 17:00:00.000000'`. -#}
    {%- set form = '([0-9]{4})-([0-9]{2})-([0-9]{2})'
        ~ '(?:[ T]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.]([0-9]{1,6}))?)?(?:Z|([+-])([0-9]{2})(?::?([0-9]{2}))?)?)?' -%}
    {%- set found = modules.re.fullmatch(form, text | trim) -%}
    {%- set write = ' Write 2024-03-01 or 2024-03-01T06:00:00 (UTC unless it ends in an offset such as +07:00).' -%}
    {%- set no_time = 'as_of "' ~ text ~ '" is no time.' ~ write -%}
    {%- if not found -%} {%- do exceptions.raise_compiler_error(no_time) -%} {%- endif -%}
    {%- set number = [] -%}
    {%- for place in range(1, 11) -%}
        {%- do number.append((found.group(place) or 0) | int if place != 8 else 0) -%}
    {%- endfor -%}
    {%- set year, month, day, hour, minute, second, _, _, away_hours, away_minutes = number -%}
    {%- set real = 1 <= year < 9999 and 1 <= month <= 12 and 1 <= day <= 31 and hour <= 23 and minute <= 59
        and second <= 59 and away_hours <= 23 and away_minutes <= 59 -%}
    {%- set midnight = modules.datetime.datetime(year, month, 1) + modules.datetime.timedelta(days=day - 1)
        if real else none -%}
    {%- if midnight is none or midnight.month != month -%}
        {%- do exceptions.raise_compiler_error(no_time) -%}
    {%- endif -%}
    {%- set away = (away_hours * 60 + away_minutes) * (-1 if found.group(8) == '-' else 1) -%}
    {%- set fraction = ((found.group(7) or '') ~ '000000')[:6] -%}
    {%- set moment = midnight + modules.datetime.timedelta(
        hours=hour, minutes=minute - away, seconds=second, microseconds=fraction | int
    ) -%}
    {%- if moment.year < 1900 -%}
        {%- do exceptions.raise_compiler_error('as_of ' ~ moment ~ ' lies before 1900.' ~ write) -%}
    {%- endif -%}
    {%- if moment > run_started_at.replace(tzinfo=none) -%}
        {%- do exceptions.raise_compiler_error(
            'as_of ' ~ moment ~ ' lies in the future: it is ' ~ run_started_at.strftime('%Y-%m-%d %H:%M:%S')
            ~ ' (UTC). Nothing can be known as of then.' ~ write
        ) -%}
    {%- endif -%}
    timestamp '{{ moment.strftime("%Y-%m-%d %H:%M:%S.%f") }}'
{%- endmacro %}
