"""savevm.py MONITOR FILE: stops a QEMU guest by its monitor socket, saves its state to FILE, and ends it."""
import socket
import sys
import time

monitor = socket.socket(socket.AF_UNIX)
monitor.connect(sys.argv[1])


def answer():
    text = b""
    while not text.endswith(b"(qemu) "):
        part = monitor.recv(65536)
        if not part:
            break
        text += part
    return text.decode(errors="replace")


def command(line):
    monitor.sendall(line.encode() + b"\n")
    return answer()


answer()
command("stop")
command("migrate_set_parameter max-bandwidth 4G")
command('migrate -d "exec:cat > %s"' % sys.argv[2])
while True:
    state = command("info migrate")
    if "completed" in state:
        break
    if "failed" in state:
        sys.exit(state)
    time.sleep(0.1)
monitor.sendall(b"quit\n")
