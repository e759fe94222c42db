//! The conflicts that the tests plant.

use devk::check::{ChartHistory, HistoryEntry};
use devk::cluster::namespace::ProjectNamespace;
use devk::docker::PublishedPort;
use devk::doctor::cluster::PinFacts;
use devk::doctor::leftovers::LostNamespace;
use devk::doctor::network::{Route, Subnet};
use devk::doctor::score::ScoredChart;
use devk::doctor::stranded::StrandedSession;
use devk::doctor::{DoctorFacts, Missing};
use devk::error::{Code, Error, Errors};
use devk::owner::Owner;
use devk::paths::Paths;
use devk::ports::{Forward, Leases, Lessee};

use crate::world::World;

pub(crate) struct Plant {
    /// The check that is to find it.
    pub(crate) id: &'static str,
    /// What the finding has to say.
    pub(crate) says: &'static str,
    pub(crate) plant: fn(&mut World),
}

const fn plant(id: &'static str, says: &'static str, plant: fn(&mut World)) -> Plant {
    Plant { id, says, plant }
}

pub(crate) const PLANTS: &[Plant] = &[
    // ports
    plant("ports.compose", "Compose service `debug`", |world| {
        world.service(
            "  debug: {image: alpine, profiles: [debug], ports: ['127.0.0.1:16000-16010:80']}\n",
        );
        world.project += "  extra: {service: demo-api, port: 5000, local: 16005}\n";
    }),
    plant("ports.containers", "container `old-db` (stopped", |world| {
        world.project += "  second: {service: demo-api, port: 5000, local: 16100}\n";
        world.changes.push(|facts, _| container(facts, 16100));
    }),
    plant("ports.listeners", "forward `third` wants port", |world| {
        let port = world.listen();
        world.project += &format!("  third: {{service: demo-api, port: 5000, local: {port}}}\n");
    }),
    plant(
        "ports.listeners",
        "Compose service `taken` wants port",
        |world| {
            let port = world.listen();
            world.service(&format!(
                "  taken: {{image: alpine, ports: ['{port}:80']}}\n"
            ));
        },
    ),
    plant("ports.leases", "project `shop`", |world| {
        lease(world, "shop", 16200, true);
        world.project += "  fourth: {service: demo-api, port: 5000, local: 16200}\n";
    }),
    plant("ports.compose", "was on port 16300", |world| {
        lease_own(world, 16300);
        world.service("  late: {image: alpine, ports: ['16300:80']}\n");
    }),
    plant(
        "compose.ports",
        "`one` and `two` both publish 16400: they cannot run at once",
        |world| {
            world.service("  one: {image: alpine, profiles: [a], ports: ['16400:80']}\n");
            world.service("  two: {image: alpine, profiles: [b], ports: ['16400:81']}\n");
        },
    ),
    // charts
    plant("charts.services", "has type NodePort", |world| {
        world.template("node.yaml", NODE_PORT)
    }),
    plant("charts.services", "has type LoadBalancer", |world| {
        world.template("balancer.yaml", LOAD_BALANCER)
    }),
    plant("charts.host-port", "takes port 8443 of its node", |world| {
        world.template("host-port.yaml", HOST_PORT)
    }),
    plant("charts.host-network", "`DaemonSet/agent`", |world| {
        world.template("host-network.yaml", HOST_NETWORK)
    }),
    plant("charts.localhost", "page.yaml:8 PUBLIC_API", |world| {
        world.template("page.yaml", PAGE)
    }),
    plant(
        "charts.localhost",
        "`config.js` of `ConfigMap/page`",
        |world| world.template("page-config.yaml", PAGE_CONFIG),
    ),
    plant("charts.host-names", "s3.yaml:8 S3_ENDPOINT", |world| {
        world.service("  s3: {image: alpine, ports: ['4566:4566']}\n");
        world.template("s3.yaml", S3);
        world.changes.push(|facts, _| {
            let names = facts.host_names.as_mut().unwrap();
            names.unknown = ["host.docker.internal"].into();
            names.instead = Some("172.18.0.1".into());
        });
    }),
    plant(
        "charts.host-names",
        "nothing listens on port 5673 of this machine; Compose publishes",
        |world| world.template("queue.yaml", QUEUE),
    ),
    // databases
    plant(
        "databases.shared",
        "database `demo` of Compose service `postgres`",
        |world| world.template("shared.yaml", SHARED),
    ),
    plant("databases.shared", "database `litellm`", |world| {
        more_databases(world, "MORE_DATABASES", "litellm");
        world.template("litellm.yaml", LITELLM);
    }),
    plant("databases.shared", "database `keycloak`", |world| {
        more_databases(world, "EXTRA_DATABASES", "keycloak:kc");
        world.template("keycloak.yaml", KEYCLOAK);
    }),
    plant("databases.shared", "database `report`", |world| {
        world.service(
            "  report: {image: alpine, environment: {DATABASE_URL: 'postgres://demo:hunter2@postgres/report'}}\n",
        );
        world.template("report.yaml", REPORT);
    }),
    plant(
        "databases.shared",
        "database `0` of Compose service `redis`",
        |world| world.template("cache.yaml", CACHE),
    ),
    plant(
        "databases.port",
        "port 5432 of this machine; Compose's `postgres` is on 5439",
        |world| {
            world.template("wrong-port.yaml", WRONG_PORT);
        },
    ),
    plant(
        "databases.loopback",
        "publishes `private` on 127.0.0.1 only",
        |world| {
            world.service(
            "  private: {image: 'postgres:17', environment: {POSTGRES_DB: private}, ports: ['127.0.0.1:5440:5432']}\n",
        );
            world.template("private.yaml", PRIVATE);
        },
    ),
    plant(
        "databases.localhost",
        "database `inside` at localhost:5432",
        |world| world.template("inside.yaml", INSIDE),
    ),
    // bridge
    plant(
        "bridge.postgres",
        "docker compose up -d postgres",
        |world| {
            world.changes.push(|facts, _| {
                let down = Error::new(Code::BridgeUnreachable, "Compose's `postgres` does not run");
                let down = down.evidence("nothing listens on 127.0.0.1:5439");
                let errors = Errors::from(down.hint("docker compose up -d postgres"));
                facts.bridge = Err(Missing::Failed(errors));
            });
        },
    ),
    // machine, Docker, tools, network
    plant("docker.context", "on another machine", |world| {
        world.changes.push(|facts, _| {
            facts.docker.as_mut().unwrap().host = "tcp://build.example:2376".into()
        });
    }),
    plant("docker.forwarding", "userland proxy is off", |world| {
        world.changes.push(|facts, _| {
            facts.docker.as_mut().unwrap().command = "dockerd --userland-proxy=false".into()
        });
    }),
    plant("tools.kind", "older than v0.24", |world| {
        world
            .changes
            .push(|facts, _| facts.tools.kind = Ok("kind v0.20.0 go1.20".into()));
    }),
    plant("tools.helm", "older than v3.13", |world| {
        world
            .changes
            .push(|facts, _| facts.tools.helm = Ok("v3.7.2+g663a896".into()));
    }),
    plant(
        "tools.kubectl",
        "too far from the cluster's v1.36.3",
        |world| {
            world
                .changes
                .push(|facts, _| facts.tools.kubectl = Ok("Client Version: v1.31.0".into()));
        },
    ),
    plant("charts.requirements", "wants StorageClass `gp3`", |world| {
        world.changes.push(|facts, _| {
            let text = "claim `data-db-0` of StatefulSet `db` wants StorageClass `gp3`";
            let error = Error::new(Code::ReleaseNotReady, text)
                .evidence("the cluster has the classes `standard`")
                .hint("set the chart's value of that name to `standard`");
            facts.requirements = Ok(vec![error]);
        });
    }),
    plant("charts.score", "fell from 95 to 90", |world| {
        world.changes.push(|facts, dir| {
            let check = |score: u8| HistoryEntry {
                time: jiff::Timestamp::UNIX_EPOCH,
                score,
                passed: true,
                counts: [0; 4],
                findings: [(score.to_string(), "probes.port".to_owned())].into(),
                ignored: [].into(),
                chart: String::new(),
                traits: [].into(),
            };
            let paths = Paths::all_at(dir);
            let mut history = ChartHistory::open(&paths, dir, "demo");
            let installed = ChartHistory::open(&paths, dir, "demo");
            history.entries = vec![check(95), check(90)];
            facts.scores = Ok(vec![ScoredChart {
                release: "demo".to_owned(),
                history,
                installed,
            }]);
        });
    }),
    plant("cluster.pin", "devk has not pinned it", |world| {
        world
            .changes
            .push(|facts, _| facts.cluster.as_mut().unwrap().pin = PinFacts::Foreign);
    }),
    plant(
        "network.subnets",
        "172.16.0.0/12 over `tun0` meets 172.18.0.0/16",
        |world| {
            world
                .changes
                .push(|facts, _| route(facts, "tun0", "172.16.0.0/12"));
        },
    ),
    plant(
        "network.subnets",
        "10.96.0.0/16, the addresses of Services",
        |world| {
            world
                .changes
                .push(|facts, _| route(facts, "wg0", "10.96.0.0/12"));
        },
    ),
    plant("machine.disk", "0.5 GiB of disk free", |world| {
        world
            .changes
            .push(|facts, _| facts.machine.disk = Some(("/var/lib/docker".into(), 1 << 29)));
    }),
    plant(
        "machine.memory",
        "1.0 GiB of memory that Docker may use",
        |world| {
            world
                .changes
                .push(|facts, _| facts.docker.as_mut().unwrap().memory = Some(1 << 30));
        },
    ),
    plant(
        "machine.inotify",
        "fs.inotify.max_user_instances = 128",
        |world| {
            world
                .changes
                .push(|facts, _| facts.machine.inotify[1].1 = 128);
        },
    ),
    plant("machine.clock", "3600 s behind", |world| {
        world
            .changes
            .push(|facts, _| facts.docker.as_mut().unwrap().clock = Some(-3600));
    }),
    // leftovers
    plant("leftovers.folders", "holds port 16700", |world| {
        world.changes.push(|facts, dir| {
            facts.leftovers.stranded.push(StrandedSession {
                lessee: Lessee {
                    project: "demo-renamed".into(),
                    root: dir.join("before"),
                },
                pid: 4242,
                ports: vec![("api".into(), 16700)],
                now: None,
            });
        });
    }),
    plant("leftovers.sessions", "supervisor.sock", |world| {
        let dir = world.paths().project("dead");
        std::fs::create_dir_all(&dir).unwrap();
        drop(std::os::unix::net::UnixListener::bind(dir.join("supervisor.sock")).unwrap());
    }),
    plant("leftovers.leases", "project `gone`", |world| {
        lease(world, "gone", 16500, false)
    }),
    plant("leftovers.clusters", "old-cluster", |world| {
        world
            .changes
            .push(|facts, _| facts.leftovers.clusters = Ok(vec!["old-cluster".into()]));
    }),
    plant("leftovers.namespaces", "namespace `demo-branch`", |world| {
        world.changes.push(|facts, dir| {
            let root = dir.join("vanished");
            let owner = Owner {
                root: root.clone(),
                user: None,
                machine: None,
            };
            let project = ProjectNamespace {
                name: "demo-branch".into(),
                asleep: false,
                owner: Some(owner),
            };
            facts.cluster.as_mut().unwrap().projects = Some(vec![project]);
            facts.leftovers.namespaces = Ok(vec![LostNamespace {
                name: "demo-branch".into(),
                root,
                now: None,
            }]);
        });
    }),
    plant("leftovers.images", "devk.local/gone/api:0123", |world| {
        world.changes.push(|facts, _| {
            facts.leftovers.images = Ok(vec![(
                "gone".into(),
                vec!["devk.local/gone/api:0123".into()],
            )]);
        });
    }),
];

fn container(facts: &mut DoctorFacts, port: u16) {
    let container = PublishedPort {
        port,
        protocol: "tcp".into(),
        host_ip: None,
        container: "old-db".into(),
        compose_project: None,
        compose_service: None,
        compose_files: None,
        running: false,
    };
    facts
        .ports
        .as_mut()
        .unwrap()
        .containers
        .as_mut()
        .unwrap()
        .push(container);
}

fn forward(local: u16) -> Forward {
    Forward {
        name: "api".into(),
        namespace: "shop".into(),
        service: "api".into(),
        remote: 5000,
        local,
        url: String::new(),
        moved: None,
    }
}

/// Another project's lease, with or without its folder.
fn lease(world: &World, project: &str, port: u16, keep: bool) {
    let root = world.paths().state.join("..").join(project);
    std::fs::create_dir_all(&root).unwrap();
    let root = root.canonicalize().unwrap();
    let lessee = Lessee {
        project: project.into(),
        root: root.clone(),
    };
    Leases::open(&world.paths().state)
        .save(&lessee, &[forward(port)])
        .unwrap();
    if !keep {
        std::fs::remove_dir(root).unwrap();
    }
}

fn lease_own(world: &World, port: u16) {
    let lessee = Lessee {
        project: "demo".into(),
        root: world.root(),
    };
    Leases::open(&world.paths().state)
        .save(&lessee, &[forward(port)])
        .unwrap();
}

fn route(facts: &mut DoctorFacts, interface: &str, to: &str) {
    facts.network.routes.push(Route {
        interface: interface.into(),
        to: Subnet::parse(to).unwrap(),
    });
}

/// Compose's Postgres makes more databases.
fn more_databases(world: &mut World, key: &str, value: &str) {
    let line = "      POSTGRES_DB: demo\n";
    world.compose = world
        .compose
        .replacen(line, &format!("{line}      {key}: {value}\n"), 1);
}

/// A pod with this environment.
macro_rules! pod {
    ($name:literal, $env:literal) => {
        concat!(
            "apiVersion: v1\nkind: Pod\nmetadata: {name: ",
            $name,
            "}\nspec:\n  containers:\n  - name: main\n    image: alpine\n",
            $env
        )
    };
}

const NODE_PORT: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: node}\nspec:\n  type: NodePort\n  ports: [{port: 80}]\n";
const LOAD_BALANCER: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: balancer}\nspec:\n  type: LoadBalancer\n  ports: [{port: 80}]\n";
const HOST_PORT: &str = pod!(
    "edge",
    "    ports: [{containerPort: 443, hostPort: 8443}]\n"
);
const HOST_NETWORK: &str = "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: agent}\nspec:\n  template:\n    spec:\n      hostNetwork: true\n      containers: [{name: agent, image: alpine}]\n";
const PAGE: &str = pod!(
    "page",
    "    env: [{name: PUBLIC_API, value: 'http://localhost:5000/api'}]\n"
);
const PAGE_CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: page}\ndata:\n  config.js: |\n    window.api = \"ws://127.0.0.1:5000\";\n";
const S3: &str = pod!(
    "s3",
    "    env: [{name: S3_ENDPOINT, value: 'http://host.docker.internal:4566'}]\n"
);
const QUEUE: &str = pod!(
    "queue",
    "    env: [{name: AMQP_URL, value: 'amqp://guest:hunter2@host.docker.internal:5673/'}]\n"
);
const SHARED: &str = pod!(
    "worker",
    "    env: [{name: DATABASE_URL, value: 'postgres://demo:hunter2@host.docker.internal:5439/demo'}]\n"
);
/// By a Secret in base64 (`postgres://u:hunter2@172.18.0.1:5439/litellm`), over envFrom.
const LITELLM: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: litellm}\ndata:\n  LITELLM_DATABASE_URL: cG9zdGdyZXM6Ly91Omh1bnRlcjJAMTcyLjE4LjAuMTo1NDM5L2xpdGVsbG0=\n";
/// By variables that belong together, through a Service without pods.
const KEYCLOAK: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: keycloak-db}\nspec: {type: ExternalName, externalName: host.docker.internal}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: keycloak}\nspec:\n  containers:\n  - name: keycloak\n    image: keycloak\n    env:\n    - {name: KC_DB, value: postgres}\n    - {name: KC_DB_URL_HOST, value: keycloak-db}\n    - {name: KC_DB_URL_PORT, value: '5439'}\n    - {name: KC_DB_URL_DATABASE, value: keycloak}\n";
/// By a script in a ConfigMap.
const REPORT: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: report}\ndata:\n  report.sh: |\n    #!/bin/sh\n    psql -h 192.168.1.7 -p 5439 -U demo -d report -c 'select 1'\n";
const CACHE: &str = pod!(
    "cache-user",
    "    env: [{name: REDIS_HOST, value: host.docker.internal}]\n"
);
const WRONG_PORT: &str = pod!(
    "wrong",
    "    env: [{name: PGHOST, value: devk-bridge-postgres.demo.svc}, {name: PGDATABASE, value: demo_k8s}]\n"
);
const PRIVATE: &str = pod!(
    "private-user",
    "    args: ['--database-url=postgres://u@host.docker.internal:5440/private_k8s']\n"
);
const INSIDE: &str = pod!(
    "inside",
    "    env: [{name: SPRING_DATASOURCE_URL, value: 'jdbc:postgresql://localhost/inside'}]\n"
);
