"""Share with a room: how to open the app to it, and the address with its QR code to project."""

import contextlib
import html
import io
import ipaddress
import re
import secrets
import socket
from urllib.parse import urlsplit

import segno
import streamlit as st

from components import role
from components.pictures import prefix
from tinymodel.data.sample import CLASSES

# On the way to these the system would use its addresses in the room: the way to anywhere, and the networks that
# computers make themselves when they are a hotspot. Connecting a datagram socket chooses a way and sends nothing.
PROBES = (
    "192.0.2.1",
    "10.42.0.2",
    "192.168.137.2",
    "192.168.2.2",
    "192.168.0.2",
    "192.168.1.2",
    "10.255.255.254",
    "2001:db8::1",
)
OPEN = "streamlit run app/Home.py --server.address 0.0.0.0"


def show() -> None:
    """On Home: the address of this app for the room, or how to get one."""
    found = urls()
    if found is None:
        with st.expander("Use it with a class", icon=":material/groups:", key="share"):
            say_how_to_open()
        return
    with st.container(border=True, key="share"):
        st.subheader("Join from your own device", anchor=False)
        if not found:
            st.markdown(
                "The app is open to the room, but this computer is in no network just now. "
                "Connect it, then reload this page."
            )
            return
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("In the browser of any device in this network: " + f"**`{found[0]}`**")
            if st.button("Show it large, with a QR code", icon=":material/qr_code_2:"):
                project(found)
        if not role.with_a_class():
            st.warning(
                "Anybody who opens it can also stop the training or delete runs: no presenter code is set. "
                f"To set one, start the app with the environment variable {role.VARIABLE}.",
                icon=":material/lock_open:",
            )


def say_how_to_open() -> None:
    st.markdown(
        "Only this computer can reach the app now. To let the devices of a class in, stop it and start it with the line "
        + (
            "below."
            if role.with_a_class()
            else "below, with a presenter code: whoever enters that may start, stop and delete, and everybody else looks on."
        )
    )
    if role.with_a_class():
        st.code(OPEN, language=None, wrap_lines=True)
        return
    code = st.session_state.setdefault("suggested-code", suggest_code())
    st.code(f'{role.VARIABLE}="{code}" {OPEN}', language=None, wrap_lines=True)
    st.caption("The same for the PowerShell of Windows:")
    st.code(f'$env:{role.VARIABLE}="{code}"; {OPEN}', language=None, wrap_lines=True)


def suggest_code() -> str:
    """'teapot-lorry-fish-4821': easy to type, one of ten million."""
    words = [secrets.choice(CLASSES).name.replace(" ", "-") for _ in range(3)]
    return "-".join([*words, f"{secrets.randbelow(10_000):04}"])


@st.dialog("Join in", width="large", icon=":material/groups:")
def project(found: list[str]) -> None:
    """One address, large enough for the last row."""
    url = found[0]
    if len(found) > 1:
        url = st.segmented_control(
            "This computer is in several networks: which one is the room's?",
            found,
            default=found[0],
            required=True,
            key="share-address",
        )
    with st.container(horizontal_alignment="center"):
        st.html(
            '<div style="text-align:center; font-weight:650; overflow-wrap:anywhere; line-height:1.2; '
            f'font-size:clamp(1.4rem, 4vw, 3rem)">{html.escape(url)}</div>'
        )
        st.image(qr_code(url), width=480, alt=f"QR code of the address {url}")
    st.caption("Point the camera of a phone at it, or type the address into a browser.")


def qr_code(url: str) -> str:
    """An SVG, dark on white with its quiet zone whatever the theme: many cameras read nothing else."""
    stream = io.BytesIO()
    segno.make(url, error="m", micro=False).save(
        stream, kind="svg", border=4, dark="#000", light="#fff", xmldecl=False, omitsize=True
    )
    return stream.getvalue().decode()


def urls() -> list[str] | None:
    """What other devices can type, the likeliest first; None if only this computer is listened to."""
    visited, hosts = visited_url(), listened_hosts()
    if hosts is None:
        return None if visited is None else [visited]
    scheme = "https" if st.get_option("server.sslCertFile") else "http"
    port = st.get_option("server.port")
    made = [f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{prefix()}" for host in hosts]
    return list(dict.fromkeys(([visited] if visited else []) + made))


def visited_url() -> str | None:
    """The address in the browser of who looks, if that is no address of their own computer: it is known to work."""
    parts = urlsplit(st.context.url or "")
    host = parts.hostname or ""
    if is_local(host) or not re.fullmatch(r"[\w.-]+|[0-9a-f:.]+", host, re.ASCII):
        return None
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{prefix()}"


def listened_hosts() -> list[str] | None:
    """The addresses of this computer at which it can be reached from elsewhere; None if it listens to itself alone."""
    host = st.get_option("server.address") or "0.0.0.0"
    if is_local(host):
        return None
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_unspecified:
            return own_addresses()
    return [host]


def own_addresses() -> list[str]:
    """Of this computer in its networks; such as nobody likes to type only if there are no others. Nothing is sent."""
    found = []
    for target in PROBES:
        family = socket.AF_INET6 if ":" in target else socket.AF_INET
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))
            found.append(probe.getsockname()[0])
    found = [host for host in dict.fromkeys(found) if not is_local(host)]
    return [host for host in found if ":" not in host] or found


def is_local(host: str) -> bool:
    """Whether nobody else can reach anything under this name or address."""
    try:
        address = ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        return host in ("", "localhost") or host.endswith(".localhost")
    return address.is_loopback or address.is_link_local
