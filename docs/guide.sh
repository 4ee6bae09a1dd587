# The words in which docs/guide.md speaks, for bash. Needs curl, and Python 3.11 or later.
#
# API      the address of the API, up to and with /v1
# KEY      an API key
# CONTROL  the address of the local stack's control server; empty where the clock cannot be moved: on AWS

GUIDE=${BASH_SOURCE[0]%/*}/guide.py

# Without what the machine's Python has installed: it starts faster, and needs none of it.
guide() { python3 -S "$GUIDE" "$@"; }

# api METHOD PATH: one request; the body is what comes on standard input. On the local stack it also waits until everything that follows
# from a change has happened.
api() {
    local body=()
    if [ "$1" != GET ] && [ ! -t 0 ]; then body=(--data-binary @-); fi
    curl -sS --fail-with-body -X "$1" "$API$2" -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \
        "${body[@]}" || return
    if [ "$1" != GET ] && [ -n "${CONTROL:-}" ]; then guide settle </dev/null; fi
}

# new NAME PATH: the same with POST, and what was made has its id in $NAME from now on.
new() {
    local id
    id=$(api POST "$2" | field id) && printf -v "$1" %s "$id"
}

# field NAME: a field of the JSON on standard input; `field items.0.id` goes deeper.
field() { guide field "$@"; }

# begin ZONE HH:MM: today is day 0, in this zone. On the local stack: tomorrow is, and it is so late there now.
begin() {
    export CONTROL ZONE=$1 DAY_ZERO
    DAY_ZERO=$(guide day-zero) && wait_until 0 "$2" && left >/dev/null
}

# day N HH:MM: that time so many days after day 0, as the API takes it.
day() { guide day "$@"; }

# wait_until N HH:MM: lets the time pass. On AWS it says how long to wait.
wait_until() { guide wait-until "$@"; }

# timeline [TYPE...]: the messages of a timeline on standard input, of these types or of all.
timeline() { guide timeline "$@"; }

# texts TYPE: what the messages of a type say, of a timeline on standard input.
texts() { guide texts "$@"; }

# why TYPE CHANNEL: the checks that a message of a timeline on standard input went through last.
why() { guide why "$@"; }

# tasks: the tasks of a list on standard input.
tasks() { guide tasks; }

# left: what has left the local stack since it was asked before.
left() {
    SEEN=${SEEN:-0}
    local now
    now=$(guide left "$SEEN") || return
    SEEN=${now%%$'\n'*}
    if [ "$now" != "$SEEN" ]; then printf '%s\n' "${now#*$'\n'}"; fi
}
