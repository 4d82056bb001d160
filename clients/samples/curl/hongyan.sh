#!/usr/bin/env bash
# Hongyan by curl: the calls a back end needs.
#   HONGYAN_URL=http://127.0.0.1:8700 HONGYAN_KEY=hy_… ./hongyan.sh APPID OPENID TEMPLATE_ID '{"thing8":"物业费","thing5":"请及时缴纳"}'
set -euo pipefail

if [ $# -ne 4 ]; then
  sed -n '2,3s/^# //p' "$0" >&2
  exit 2
fi
app=$1 openid=$2 template=$3 data=$4
base="${HONGYAN_URL%/}/api/v1/apps/$app"

out=$(mktemp) replayed=$(mktemp)
trap 'rm -f "$out" "$replayed"' EXIT

# One call: METHOD URL BEARER [curl's arguments…]. The answer's body on standard output; a problem's too, and then it returns 22.
# The key goes by a file that only curl reads: arguments can be seen by everybody on the machine. 密钥不放在命令行参数里。
call() {
  local method=$1 url=$2 bearer=$3 code=0
  shift 3
  curl --silent --show-error --fail-with-body --max-time 15 --request "$method" --output "$out" \
    --config <(printf 'header = "Authorization: Bearer %s"\n' "$bearer") \
    --header 'Content-Type: application/json' --header 'Accept-Language: zh-CN' "$@" "$url" || code=$?
  cat "$out"
  return $code
}

# Calls that may be repeated: a GET, and a POST with an Idempotency-Key. 只有可重复的请求才重试。
retrying() {
  local answer code attempt
  for attempt in 1 2 3 4 5; do
    code=0
    # curl itself repeats after 429 and 5xx, and waits as Retry-After says.
    answer=$(call "$@" --retry 4 --retry-max-time 60) || code=$?
    case $code in
      0 | 22) printf '%s\n' "$answer" && return $code ;;
    esac
    # No answer, or half of one: it may have happened all the same. 结果未知，带着同一个 key 重试。
    echo "retry     curl $code" >&2
    sleep "$attempt"
  done
  return $code
}

# A text or a number of an answer; `jq -r .NAME` where you have it.
field() {
  grep -o "\"$1\":\"\{0,1\}[^\",}]*" | head -n 1 | sed 's/^"[^"]*":"\{0,1\}//'
}

echo "grants    $(retrying GET "$base/subscriptions" "$HONGYAN_KEY" --get --data-urlencode "openid=$openid")"

answer=$(call POST "$base/mp-sessions" "$HONGYAN_KEY" --data "{\"openid\":\"$openid\"}")
echo "session   $(field expires_in <<<"$answer")"
echo "ask       $(retrying GET "${HONGYAN_URL%/}/mp/$app/ask" "$(field session <<<"$answer")")"

# The key names the business event (a bill's number), so that repeating the call sends nothing twice.
# Idempotency-Key 取业务单号：网络出错时可放心重试，不会重复发送。
key="bill-$(cat /proc/sys/kernel/random/uuid 2>/dev/null || uuidgen)"
body="{\"to\":\"$openid\",\"template_id\":\"$template\",\"data\":$data}"
answer=$(retrying POST "$base/messages" "$HONGYAN_KEY" --header "Idempotency-Key: $key" --data "$body")
id=$(field id <<<"$answer")
echo "message   $id"

answer=$(retrying POST "$base/messages" "$HONGYAN_KEY" --header "Idempotency-Key: $key" --data "$body" --dump-header "$replayed")
if grep -qi '^idempotent-replayed: true' "$replayed"; then how=replayed; else how=new; fi
echo "again     $(field id <<<"$answer") $how"

for _ in $(seq 100); do
  answer=$(retrying GET "$base/messages/$id" "$HONGYAN_KEY")
  state=$(field state <<<"$answer")
  case $state in scheduled | queued | sending) sleep 0.3 ;; *) break ;; esac
done
echo "state     $state"

# A field that the template has not: the answer names it, its limit, and the right one. 出错时看 code 与 errors。
if ! answer=$(call POST "$base/messages" "$HONGYAN_KEY" --header "Idempotency-Key: $key-2" \
  --data "{\"to\":\"$openid\",\"template_id\":\"$template\",\"data\":{\"no_such_field\":\"x\"}}" 2>/dev/null); then
  echo "problem   $(field status <<<"$answer") $(field code <<<"$answer")"
  echo "          $answer"
fi
