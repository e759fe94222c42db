//! Several backends, in the order in which the user named them: the first that answers counts.

use std::fmt;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::backend::ModelBackend;
use super::breaker::Breaker;
use super::conversation::{Conversation, ModelReply};
use super::send::send;
use crate::environment::Environment;

/// Backends of which each stands in for the one before.
#[derive(Debug, Clone)]
pub struct ModelChain {
    backends: Vec<ModelBackend>,
    breaker: Breaker,
    environment: Environment,
}

/// A reply and who gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSent {
    pub reply: ModelReply,
    /// The name of the backend.
    pub backend: String,
    /// Those before it, which gave none.
    pub passed: Vec<PassedOver>,
}

/// A backend that gave no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    pub backend: String,
    pub why: String,
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} gave no reply: {}", self.backend, self.why)
    }
}

/// What happens while a reply is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelNews<'a> {
    Asking(&'a str),
    /// A piece of the text of a reply, as it comes. The reply may yet turn out to be cut.
    Text(&'a str),
    Passed(&'a PassedOver),
}

impl ModelChain {
    /// `failures` is the folder where devk keeps which backends failed.
    pub fn new(backends: Vec<ModelBackend>, failures: &Path, environment: &Environment) -> Self {
        Self {
            backends,
            breaker: Breaker::new(failures),
            environment: environment.clone(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.backends.is_empty()
    }

    /// The names of the backends, in the order in which they are asked.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.backends.iter().map(|backend| backend.name.as_str())
    }

    /// The first reply that a backend gives.
    ///
    /// # Errors
    /// None gives one: all of them, with the reason of each.
    pub async fn send(
        &self,
        conversation: &Conversation,
        news: &mut (dyn FnMut(ModelNews<'_>) + Send),
    ) -> Result<ModelSent, Vec<PassedOver>> {
        let mut passed = vec![];
        let now = Timestamp::now();
        let backends = self.backends.iter();
        let open: Vec<_> = backends
            .map(|backend| self.breaker.open(&circuit(backend), now))
            .collect();
        // Where there is nobody else, nobody is left out.
        let all_open = open.iter().all(Option::is_some);
        for (backend, open) in self.backends.iter().zip(open) {
            let why = match open.filter(|_| !all_open) {
                Some(open) => {
                    let until = open.until.to_zoned(TimeZone::system()).strftime("%H:%M:%S");
                    format!("it is left out until {until}: {}", open.why)
                }
                None => match self.ask(backend, conversation, news).await {
                    Ok(reply) => {
                        return Ok(ModelSent {
                            reply,
                            backend: backend.name.clone(),
                            passed,
                        });
                    }
                    Err(why) => why,
                },
            };
            let over = PassedOver {
                backend: backend.name.clone(),
                why,
            };
            news(ModelNews::Passed(&over));
            passed.push(over);
        }
        Err(passed)
    }

    async fn ask(
        &self,
        backend: &ModelBackend,
        conversation: &Conversation,
        news: &mut (dyn FnMut(ModelNews<'_>) + Send),
    ) -> Result<ModelReply, String> {
        news(ModelNews::Asking(&backend.name));
        let mut said = |text: &str| news(ModelNews::Text(text));
        match send(backend, conversation, &self.environment, &mut said).await {
            Ok(reply) => {
                self.breaker.answered(&circuit(backend));
                Ok(reply)
            }
            Err(failure) => {
                let now = Timestamp::now();
                if failure.is_down {
                    let (circuit, why) = (circuit(backend), &failure.why);
                    self.breaker.failed(&circuit, why, failure.pause, now);
                }
                Err(failure.why)
            }
        }
    }
}

/// What the breaker knows a backend by: another address under the same name is another backend.
fn circuit(backend: &ModelBackend) -> String {
    format!("{} {}", backend.url, backend.model)
}
