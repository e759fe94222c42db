//! Who does it: the user's number, and the name that the system has for it.

/// The number of the user.
pub(super) fn id() -> u32 {
    rustix::process::getuid().as_raw()
}

/// The name of the user. A variable may say anything; it counts only where the system keeps its users elsewhere.
pub(super) fn name() -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    named(&users, id()).or_else(|| std::env::var("USER").ok())
}

/// The name of a number in a list as passwd(5) describes it.
fn named(users: &str, id: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, number) = (fields.next()?, fields.next()?, fields.next()?);
        (number.parse() == Ok(id)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_by_the_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\n\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(named(users, 1000).as_deref(), Some("ann"));
        assert_eq!(named(users, 1001), None);
    }
}
