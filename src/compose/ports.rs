//! The short syntax of `ports`: `[[IP:]HOST[-END]:]TARGET[-END][/PROTOCOL]`.

use std::net::IpAddr;

/// One container port of a short form. A range of targets gives one each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ShortPort {
    pub(super) host_ip: Option<String>,
    /// A port or a range; None: Docker picks one.
    pub(super) published: Option<String>,
    pub(super) target: u16,
    pub(super) protocol: String,
}

/// Reads a short form. The ports come in the order in which Compose prints them: by the text of
/// `TARGET/PROTOCOL`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(text: &str) -> Result<Vec<ShortPort>, String> {
    let (ip, host, container) = split(text);
    let (container, protocol) = container.split_once('/').unwrap_or((container, ""));
    let protocol = protocol_of(container, protocol)?;
    let host_ip = if ["", "[]"].contains(&ip) {
        None
    } else {
        Some(address(ip)?)
    };
    let targets = range(container).ok_or_else(|| format!("`{container}` is no container port"))?;
    let hosts = (!host.is_empty())
        .then(|| range(host).ok_or_else(|| format!("`{host}` is no host port")))
        .transpose()?;
    let mut ports = expand(targets, hosts).ok_or_else(|| {
        format!("the host ports `{host}` and the container ports `{container}` differ in number")
    })?;
    ports.sort_by_cached_key(|(target, _)| format!("{target}/{protocol}"));
    let short = |(target, published)| ShortPort {
        host_ip: host_ip.clone(),
        published,
        target,
        protocol: protocol.clone(),
    };
    Ok(ports.into_iter().map(short).collect())
}

/// The address may have colons of its own.
fn split(text: &str) -> (&str, &str, &str) {
    let Some((rest, container)) = text.rsplit_once(':') else {
        return ("", "", text);
    };
    let Some((ip, host)) = rest.rsplit_once(':') else {
        return ("", rest, container);
    };
    (ip, host, container)
}

fn protocol_of(container: &str, protocol: &str) -> Result<String, String> {
    if container.is_empty() {
        return Err("the container port is missing".to_owned());
    }
    match protocol.to_lowercase().as_str() {
        "" => Ok("tcp".to_owned()),
        known @ ("tcp" | "udp" | "sctp") => Ok(known.to_owned()),
        _ => Err(format!(
            "`{protocol}` is no protocol: it is `tcp`, `udp` or `sctp`"
        )),
    }
}

fn address(text: &str) -> Result<String, String> {
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').filter(|ip| !ip.contains(['[', ']'])),
        None => Some(text),
    };
    match bare {
        Some(ip) if is_address(ip) => Ok(ip.to_owned()),
        _ => Err(format!("`{text}` is no IP address")),
    }
}

/// Whether Go takes a text for an IP address: without a zone, without leading zeros.
pub(super) fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

fn range(text: &str) -> Option<(u16, u16)> {
    let mut parts = text.split('-');
    let start = number(parts.next()?)?;
    let end = parts.next().map_or(Some(start), number)?;
    (start <= end).then_some((start, end))
}

/// Digits alone: Rust's own reading would take a `+`.
fn number(text: &str) -> Option<u16> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

/// Pairs targets with host ports. A range of host ports stays one where there is a single target.
fn expand(targets: (u16, u16), hosts: Option<(u16, u16)>) -> Option<Vec<(u16, Option<String>)>> {
    let (first, last) = targets;
    match hosts {
        None => Some((first..=last).map(|target| (target, None)).collect()),
        Some((start, end)) if first == last && start != end => {
            Some(vec![(first, Some(format!("{start}-{end}")))])
        }
        Some((start, end)) if last - first == end - start => Some(
            (first..=last)
                .zip(start..=end)
                .map(|(target, host)| (target, Some(host.to_string())))
                .collect(),
        ),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let show = |port: ShortPort| {
            let ip = port.host_ip.map(|ip| format!("{ip} ")).unwrap_or_default();
            format!(
                "{ip}{}→{}/{}",
                port.published.unwrap_or_default(),
                port.target,
                port.protocol
            )
        };
        parse(text).unwrap().into_iter().map(show).collect()
    }

    #[test]
    fn reads_every_part() {
        assert_eq!(shown("80"), ["→80/tcp"]);
        assert_eq!(shown("8080:80"), ["8080→80/tcp"]);
        assert_eq!(shown(":80"), ["→80/tcp"]);
        assert_eq!(shown("127.0.0.1:8080:80/UDP"), ["127.0.0.1 8080→80/udp"]);
        assert_eq!(shown("127.0.0.1::80/sctp"), ["127.0.0.1 →80/sctp"]);
        assert_eq!(shown("[::1]:8080:80"), ["::1 8080→80/tcp"]);
        assert_eq!(shown("::1:8080:80"), ["::1 8080→80/tcp"]);
        assert_eq!(shown("0:80/"), ["0→80/tcp"]);
        assert_eq!(shown("[]:8080:80"), ["8080→80/tcp"]);
    }

    #[test]
    fn pairs_ranges_and_keeps_a_range_for_one_target() {
        assert_eq!(shown("8000-8002:80"), ["8000-8002→80/tcp"]);
        assert_eq!(shown("8000-8001:80-81"), ["8000→80/tcp", "8001→81/tcp"]);
        assert_eq!(
            shown("98-101"),
            ["→100/tcp", "→101/tcp", "→98/tcp", "→99/tcp"]
        );
    }

    #[test]
    fn refuses_what_compose_refuses() {
        for text in [
            "",
            "80:",
            "8000:80-82",
            "8002-8000:80",
            "80/quic",
            "x:80",
            "localhost:80:80",
            "[::1:80:80",
            "65536:80",
            "+80",
            "8080:80-",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
