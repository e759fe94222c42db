//! `devk ports --compose-only`: the ports that the Compose files publish. It needs neither Docker, nor a
//! cluster, nor a devk.yaml.

use crate::compose::{self, Options, Port};
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Exit, Result};
use crate::ui::{self, Format};

/// Prints the ports of the active services, by service and in the order of `docker compose config`, and then those of
/// the others.
///
/// # Errors
/// What keeps devk from knowing the ports; [`Code::ComposeMissing`] without a Compose file.
pub async fn run(options: &Options, format: Format, markdown: bool) -> Result<Exit, Errors> {
    let environment = Environment::of_process();
    let read = compose::load_tolerantly(options);
    let read = compose::unless_refused_by_docker(options, &environment, read).await;
    let compose = read?.ok_or_else(|| missing(options))?;
    if format == Format::Table {
        let passed_over = compose.passed_over.iter();
        passed_over.for_each(|error| ui::err(&ui::plain::warning(error)));
    }
    let active = list("COMPOSE", compose.published());
    let inactive = list("NOT ACTIVE", compose.inactive());
    match format {
        Format::Json => ui::json(&serde_json::json!({
            "version": 1,
            "compose": compose.published().collect::<Vec<_>>(),
            "inactive": compose.inactive().collect::<Vec<_>>(),
            "passed_over": compose.passed_over,
        }))?,
        Format::Table if markdown => ui::out(&ui::lists(&[active, inactive], ui::markdown))?,
        Format::Table => ui::out(&ui::lists(&[active, inactive], ui::table))?,
    }
    Ok(Exit::Ok)
}

fn missing(options: &Options) -> Error {
    Error::new(
        Code::ComposeMissing,
        format!(
            "there is no Compose file in {} or above it",
            options.dir.display()
        ),
    )
    .hint("name one with -f, or run devk in the project's folder")
}

/// One row a port, below a head.
pub(super) fn list<'a>(title: &str, ports: impl Iterator<Item = &'a Port>) -> Vec<Vec<String>> {
    let head = [title, "PUBLISHED", "CONTAINER", "WHERE"].map(str::to_owned);
    std::iter::once(head)
        .chain(ports.map(row))
        .map(Vec::from)
        .collect()
}

fn row(port: &Port) -> [String; 4] {
    let published = port.published.as_deref().unwrap_or("any free port");
    let published = match &port.host_ip {
        Some(ip) if ip.contains(':') => format!("[{ip}]:{published}"),
        Some(ip) => format!("{ip}:{published}"),
        None => published.to_owned(),
    };
    let container = format!("{}/{}", port.target, port.protocol);
    [
        port.service.clone(),
        published,
        container,
        format!("{}:{}", port.file.display(), port.line),
    ]
}
