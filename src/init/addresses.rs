//! Addresses of this machine that are baked into pages: `http://localhost:8000` and `ws://localhost:8000` in build
//! arguments and values become the address of the forward that leads to the same service.

use std::path::Path;

use serde_json::Value;

use super::builds::FoundBuild;
use super::clue::plain;
use super::draft::{DraftForward, DraftImage, DraftRelease, DraftValue, InitDraft};
use super::references::ReleaseLook;
use super::stack;
use crate::compose::Compose;
use crate::release::values::leaves;

/// How names begin whose values get into pages.
const OF_PAGES: [&str; 8] = [
    "EXPO_PUBLIC_",
    "GATSBY_",
    "NEXT_PUBLIC_",
    "NUXT_PUBLIC_",
    "PUBLIC_",
    "REACT_APP_",
    "VITE_",
    "VUE_APP_",
];

/// Words of values that browsers get or send.
const FOR_BROWSERS: [&str; 12] = [
    "appurl", "baseurl", "browser", "callback", "cors", "external", "frontend", "origin", "public",
    "redirect", "siteurl", "weburl",
];

/// Puts forwards in place of addresses.
pub(super) fn put(
    draft: &mut InitDraft,
    builds: &[FoundBuild],
    looks: &[ReleaseLook<'_>],
    stack: Option<&Compose>,
) {
    let ports = Ports::of(draft, stack, looks);
    for image in draft.images.iter_mut().filter(|image| image.off.is_none()) {
        let same = |build: &&FoundBuild| {
            build.dockerfile == image.dockerfile && build.target == image.target
        };
        if let Some(build) = builds.iter().find(same) {
            of_arguments(&ports, build, image);
        }
    }
    for look in looks {
        let Some(release) = draft
            .releases
            .iter_mut()
            .find(|release| release.name == look.release)
        else {
            continue;
        };
        of_values(&ports, look, release);
    }
}

fn of_arguments(ports: &Ports<'_>, build: &FoundBuild, image: &mut DraftImage) {
    for (name, value, line) in &build.declared {
        let given = image.args.iter().find(|(other, _)| other == name);
        let given = given.map(|(_, value)| value.clone());
        let of_page = OF_PAGES.iter().any(|prefix| name.starts_with(prefix));
        let from_stack = || {
            let stack = ports.stack.filter(|_| of_page)?;
            let mut services = build.names.iter();
            let variable = services.find_map(|service| stack::variables(stack, service)?.get(name));
            variable.map(|variable| variable.value.clone())
        };
        let Some(address) = given.or_else(|| value.clone()).or_else(from_stack) else {
            continue;
        };
        let Some((replaced, forward)) = ports.replaced(&address) else {
            continue;
        };
        // Its own address, as for a health check, is not the browser's.
        let is_own = addresses_of(&address)
            .iter()
            .any(|port| build.exposed.contains(port));
        if is_own && !of_page {
            continue;
        }
        image.args.retain(|(other, _)| other != name);
        image.args.push((name.clone(), replaced));
        image.evidence.push(format!(
            "{name} is the address of {forward} for the browser ({}:{line})",
            image.dockerfile.display()
        ));
    }
}

/// The ports of all addresses of a text.
fn addresses_of(text: &str) -> Vec<u16> {
    let mut found = vec![];
    let mut rest = text;
    while let Some(address) = LocalAddress::find(rest) {
        found.push(address.port);
        rest = &rest[address.end..];
    }
    found
}

/// Whether a value is for browsers: in a pod `localhost` is the pod, unless the value says whom it is for.
pub(super) fn is_for_browsers(path: &str) -> bool {
    let upper = path.to_uppercase();
    let name = plain(path);
    OF_PAGES.iter().any(|prefix| upper.contains(prefix))
        || FOR_BROWSERS.iter().any(|word| name.contains(word))
}

fn of_values(ports: &Ports<'_>, look: &ReleaseLook<'_>, release: &mut DraftRelease) {
    for (path, value) in leaves(&look.values) {
        let is_open = is_for_browsers(&path) && !release.gives(&path);
        let Some(address) = value.as_str().filter(|_| is_open) else {
            continue;
        };
        if let Some((replaced, forward)) = ports.replaced(address) {
            release.set.push(DraftValue {
                why: format!("was {address}: the forward of {forward} on this machine"),
                value: Value::String(replaced),
                path,
                is_users: false,
            });
        }
    }
}

/// Comments for addresses in code that nobody can set from outside.
pub(super) fn in_code(
    draft: &mut InitDraft,
    found: &[(std::path::PathBuf, usize, String)],
    looks: &[ReleaseLook<'_>],
    stack: Option<&Compose>,
) {
    let ports = Ports::of(draft, stack, looks);
    for image in draft.images.iter_mut().filter(|image| image.off.is_none()) {
        let own = found
            .iter()
            .filter(|(file, _, _)| is_of(file, &image.context));
        for (file, line, address) in own.take(3) {
            let Some((replaced, forward)) = ports.replaced(address) else {
                continue;
            };
            if image
                .args
                .iter()
                .any(|(_, value)| value.contains(&format!("${{forward.{forward}.")))
            {
                continue;
            }
            image.alternatives.push(format!(
                "{}:{line} has the address {address} of Compose's stack: with `ARG` in the Dockerfile, `args: {{NAME: \"{replaced}\"}}` gives it the cluster's",
                file.display()
            ));
        }
    }
}

fn is_of(file: &Path, context: &Path) -> bool {
    !context.as_os_str().is_empty() && file.starts_with(context)
}

struct Ports<'a> {
    forwards: Vec<DraftForward>,
    stack: Option<&'a Compose>,
    looks: &'a [ReleaseLook<'a>],
}

impl<'a> Ports<'a> {
    fn of(draft: &InitDraft, stack: Option<&'a Compose>, looks: &'a [ReleaseLook<'a>]) -> Self {
        Self {
            forwards: draft.forwards.clone(),
            stack,
            looks,
        }
    }

    /// A text in which each address that is known became the variable of its forward, and the last of these forwards.
    fn replaced(&self, text: &str) -> Option<(String, String)> {
        let mut found = String::new();
        let mut name = None;
        let mut rest = text;
        while let Some(address) = LocalAddress::find(rest) {
            let (before, after) = rest.split_at(address.end);
            found.push_str(&rest[..address.begin]);
            match self.forward(address.port) {
                Some(forward) => {
                    found.push_str(&address.through(&forward));
                    name = Some(forward);
                }
                None => found.push_str(&before[address.begin..]),
            }
            rest = after;
        }
        found.push_str(rest);
        Some((found, name?))
    }

    fn forward(&self, port: u16) -> Option<String> {
        let named = |name: &str| self.forwards.iter().find(|forward| forward.name == name);
        let published = self.stack.into_iter().flat_map(Compose::published);
        let of_stack = published
            .filter(|found| found.published.as_deref() == Some(&port.to_string()))
            .find_map(|found| named(&found.service));
        if let Some(found) = of_stack {
            return Some(found.name.clone());
        }
        let services = self
            .looks
            .iter()
            .flat_map(|look| look.rendered.services(""));
        let behind: Vec<_> = services
            .filter(|service| {
                service
                    .ports
                    .iter()
                    .any(|own| own.port == port || own.target == Some(port))
            })
            .map(|service| service.name)
            .collect();
        match &behind[..] {
            [service] => {
                let mut own = self.forwards.iter();
                own.find(|forward| forward.service == *service)
                    .map(|forward| forward.name.clone())
            }
            _ => None,
        }
    }
}

/// An address of this machine in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LocalAddress {
    pub(super) begin: usize,
    pub(super) end: usize,
    pub(super) port: u16,
    /// `ws://`: a forward's own address begins with `http://`.
    is_socket: bool,
}

impl LocalAddress {
    /// The first `http://localhost:PORT` or `ws://localhost:PORT` of a text, without its path.
    pub(super) fn find(text: &str) -> Option<Self> {
        let schemes = [("http://", false), ("ws://", true)];
        let hosts = ["localhost:", "127.0.0.1:"];
        let all = schemes
            .iter()
            .flat_map(|scheme| hosts.iter().map(move |host| (scheme, host)));
        let found = all.filter_map(|((scheme, is_socket), host)| {
            let start = format!("{scheme}{host}");
            let begin = text.find(&start)?;
            let digits = &text[begin + start.len()..];
            let count = digits.chars().take_while(char::is_ascii_digit).count();
            Some(Self {
                begin,
                end: begin + start.len() + count,
                port: digits[..count].parse().ok()?,
                is_socket: *is_socket,
            })
        });
        found.min()
    }

    /// The variables that lead to the same through a forward.
    fn through(self, forward: &str) -> String {
        match self.is_socket {
            true => format!("ws://${{forward.{forward}.host}}:${{forward.{forward}.port}}"),
            false => format!("${{forward.{forward}.url}}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_are_found_with_their_ports() {
        assert_eq!(
            addresses_of("ws://localhost:3000/a,http://127.0.0.1:80/x http://localhost:"),
            [3000, 80]
        );
        let socket = LocalAddress::find("ws://localhost:3000/a").unwrap();
        assert_eq!(
            socket.through("api"),
            "ws://${forward.api.host}:${forward.api.port}"
        );
        assert!(addresses_of("https://example.com:3000 localhost:80").is_empty());
        assert!(is_for_browsers("api.corsOrigins") && is_for_browsers("web.env.NEXT_PUBLIC_API"));
        assert!(!is_for_browsers("sidecar.endpoint"));
    }
}
