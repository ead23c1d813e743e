"""Runs a command on a terminal of its own, for terminal.ts: settings come as JSON in the first word,
what the terminal got goes to standard output, a line of JSON about the end to standard error."""
import fcntl, json, os, pty, select, struct, sys, termios, threading, time

settings = json.loads(sys.argv[1])
steps = settings["steps"]
# Without these the child's standard streams are the terminal.
feed, hold = os.pipe() if settings["inputBytes"] is not None else (None, None)
drain, fill = os.pipe() if settings["slowOutput"] else (None, None)


def resize(descriptor, columns):
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


child, terminal = pty.fork()
if child == 0:
    resize(2, settings["columns"])
    if feed is not None:
        os.dup2(feed, 0)
    if fill is not None:
        os.dup2(fill, 1)
    elif settings["stdoutPath"] is not None:
        os.dup2(os.open(settings["stdoutPath"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), 1)
    for descriptor in (feed, hold, drain, fill):
        if descriptor is not None:
            os.close(descriptor)
    os.chdir(settings["cwd"])
    os.execvpe(settings["command"][0], settings["command"], settings["env"])
for descriptor in (feed, fill):
    if descriptor is not None:
        os.close(descriptor)


def write_input():
    try:
        left = settings["inputBytes"]
        while left > 0:
            left -= os.write(hold, os.urandom(min(left, 65536)))
    except BrokenPipeError:
        pass


if hold is not None:
    threading.Thread(target=write_input, daemon=True).start()


def read_slowly():
    while os.read(drain, 16384):
        time.sleep(0.004)


if drain is not None:
    threading.Thread(target=read_slowly, daemon=True).start()

seen = b""
begin = 0
deadline = time.monotonic() + settings["timeoutMs"] / 1000
while time.monotonic() < deadline:
    if not select.select([terminal], [], [], 0.1)[0]:
        continue
    try:
        piece = os.read(terminal, 65536)
    except OSError:
        piece = b""
    if not piece:
        break
    seen += piece
    while steps and steps[0]["after"].encode() in seen[begin:]:
        step = steps.pop(0)
        begin = len(seen)
        if "send" in step:
            os.write(terminal, step["send"].encode())
        if "columns" in step:
            resize(terminal, step["columns"])
        if step.get("endInput"):
            os.close(hold)
else:
    os.kill(child, 9)
sys.stdout.buffer.write(seen)
sys.stdout.flush()
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(json.dumps({"status": status, "stepsLeft": len(steps)}), file=sys.stderr)
