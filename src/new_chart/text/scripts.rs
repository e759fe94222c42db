//! The shell scripts that wait before a program starts. They use what is in the image: no other image is needed.

/// `sh -c SCRIPT wait NAME PORT SECONDS`.
pub(super) const PORT: &str = r#"
name=$1 port=$2 seconds=$3 waited=0
connects() {
  if command -v bash; then bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$name" "$port"
  elif command -v python3; then python3 -c 'import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 2)' "$name" "$port"
  elif command -v node; then node -e 'const s = require("net").connect(+process.argv[2], process.argv[1]); s.setTimeout(2000, () => process.exit(1)); s.on("connect", () => process.exit(0)); s.on("error", () => process.exit(1))' "$name" "$port"
  elif command -v perl; then perl -MIO::Socket::INET -e 'exit !IO::Socket::INET->new(PeerAddr => $ARGV[0], PeerPort => $ARGV[1], Timeout => 2)' "$name" "$port"
  elif command -v php; then php -r 'exit(@fsockopen($argv[1], $argv[2], $e, $m, 2) ? 0 : 1);' "$name" "$port"
  elif command -v ruby; then ruby -rsocket -e 'Socket.tcp(ARGV[0], ARGV[1], connect_timeout: 2) {}' "$name" "$port"
  elif command -v nc; then nc -z -w 2 "$name" "$port"
  elif command -v curl; then curl -s --connect-timeout 2 --max-time 3 "telnet://$name:$port" </dev/null; [ $? -ne 7 ] && [ $? -ne 6 ]
  else return 64
  fi >/dev/null 2>&1
}
while :; do
  connects; result=$?
  [ $result -eq 0 ] && exit 0
  if [ $result -eq 64 ]; then
    echo "this image has no program that can connect to $name:$port (bash, python3, node, perl, php, ruby, nc, curl)" >&2
    [ "$seconds" -gt 0 ] && exit 0
    exit 1
  fi
  if [ "$seconds" -gt 0 ] && [ $waited -ge "$seconds" ]; then
    echo "$name:$port accepts no connection after $seconds s: starting all the same" >&2
    exit 0
  fi
  [ $((waited % 10)) -eq 0 ] && echo "waiting for $name:$port" >&2
  sleep 1
  waited=$((waited + 1))
done
"#;

/// `sh -c SCRIPT wait NAME`.
pub(super) const NAME: &str = r#"
name=$1 waited=0
leads() {
  if command -v getent; then getent hosts "$name"
  elif command -v python3; then python3 -c 'import socket, sys; socket.gethostbyname(sys.argv[1])' "$name"
  elif command -v node; then node -e 'require("dns").lookup(process.argv[1], e => process.exit(e ? 1 : 0))' "$name"
  elif command -v nslookup; then nslookup "$name"
  else return 64
  fi >/dev/null 2>&1
}
while :; do
  leads; result=$?
  [ $result -eq 0 ] && exit 0
  if [ $result -eq 64 ]; then
    echo "this image has no program that can look up $name (getent, python3, node, nslookup)" >&2
    exit 1
  fi
  [ $((waited % 10)) -eq 0 ] && echo "waiting for $name" >&2
  sleep 1
  waited=$((waited + 1))
done
"#;

/// `sh -c SCRIPT wait JOB NAMESPACE`.
pub(super) const JOB: &str = r#"
job=$1 folder=/var/run/secrets/job-reader waited=0
url=https://kubernetes.default.svc/apis/batch/v1/namespaces/$2/jobs/$1
ask() {
  if command -v curl >/dev/null 2>&1; then curl -sS --max-time 5 --cacert $folder/ca.crt -H "Authorization: Bearer $(cat $folder/token)" "$url"
  elif command -v python3 >/dev/null 2>&1; then python3 -c '
import ssl, sys, urllib.request
url, folder = sys.argv[1:]
headers = {"Authorization": "Bearer " + open(folder + "/token").read()}
context = ssl.create_default_context(cafile=folder + "/ca.crt")
print(urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5, context=context).read().decode())' "$url" $folder
  elif command -v node >/dev/null 2>&1; then node -e '
const [url, folder] = process.argv.slice(1), fs = require("fs");
const headers = { Authorization: "Bearer " + fs.readFileSync(folder + "/token") };
require("https").get(url, { headers, ca: fs.readFileSync(folder + "/ca.crt"), timeout: 5000 }, r => r.pipe(process.stdout)).on("error", e => { console.error(e.message); process.exit(1) })' "$url" $folder
  else
    echo "this image has no program that can ask for the Job $job (curl, python3, node)" >&2
    exit 1
  fi
}
while :; do
  answer=$(ask 2>&1)
  case "$answer" in *'"succeeded":'*) exit 0 ;; esac
  [ $((waited % 10)) -eq 0 ] && case "$answer" in
    *'"kind":'*'"Job"'*) echo "waiting for the end of the Job $job" >&2 ;;
    *) echo "waiting for the Job $job: $answer" >&2 ;;
  esac
  sleep 1
  waited=$((waited + 1))
done
"#;
