//! `kindest/node`: Kubernetes, containerd and the images a control plane starts from, in one image. Each node of a cluster
//! has a range of pod addresses of its own and routes to the others'; its init sees to that.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::base_images::{BUSYBOX_TAGS, Bookworm};
use super::cache::{Cache, Key};
use super::debian::Base;
use super::go::Program;
use super::image::{self, Content, Image, LABEL, Store};
use super::programs::{CNI, CONTAINERD, COREDNS, ETCD, KUBERNETES, LOCAL_PATH, PAUSE};
use crate::command;

const KUBERNETES_DOCKERFILE: &str = include_str!("../../lab/images/kubernetes/Dockerfile");
const NODE_DOCKERFILE: &str = include_str!("../../lab/images/kind-node/Dockerfile");
const PROGRAM_DOCKERFILE: &str = include_str!("../../lab/images/scratch/Dockerfile");
const INIT: &str = include_str!("../../lab/node/init");
const CONTAINERD_CONFIG: &str = include_str!("../../lab/node/containerd.toml");
const KUBELET_CONFIG: &str = include_str!("../../lab/node/kubelet.conf");
const POD_NETWORK: &str = include_str!("../../lab/node/pods.conflist");
const CNI_MANIFEST: &str = include_str!("../../lab/node/default-cni.yaml");
const STORAGE_MANIFEST: &str = include_str!("../../lab/node/default-storage.yaml");
const FLATTEN: &str = include_str!("../../lab/node/flatten");
const ADD_IMAGES: &str = include_str!("../../lab/node/add-images");

/// The largest first: what is compiled last should be small.
pub(super) const PROGRAMS: [&Program; 7] = [
    &KUBERNETES,
    &CONTAINERD,
    &CNI,
    &ETCD,
    &COREDNS,
    &LOCAL_PATH,
    &PAUSE,
];
const FILES: [&str; 11] = [
    KUBERNETES_DOCKERFILE,
    NODE_DOCKERFILE,
    PROGRAM_DOCKERFILE,
    INIT,
    CONTAINERD_CONFIG,
    KUBELET_CONFIG,
    POD_NETWORK,
    CNI_MANIFEST,
    STORAGE_MANIFEST,
    FLATTEN,
    ADD_IMAGES,
];

const PARENT: &str = "devk-lab/kubernetes:latest";
const BARE: &str = "devk-lab/kind-node:latest";
const FLAT: &str = "devk-lab/kubernetes:flat";

pub(super) fn tag() -> String {
    format!("kindest/node:{}", KUBERNETES.version)
}

pub(super) fn ensure(cache: &Cache, store: &Store, from: &Bookworm) -> Result<()> {
    let base = &from.base;
    let programs: Vec<Key> = PROGRAMS.iter().map(|program| program.key()).collect();
    let inputs = programs
        .iter()
        .map(Key::as_str)
        .chain(FILES)
        .chain([base.key.as_str(), from.busybox.as_str()]);
    let key = Key::of(inputs);
    store.ensure_made_by(&[tag()], &key, |folder| {
        let make = Make {
            cache,
            base,
            key: &key,
            folder,
        };
        make.all()
    })
}

struct Make<'a> {
    cache: &'a Cache,
    base: &'a Base,
    key: &'a Key,
    folder: &'a Path,
}

impl Make<'_> {
    fn all(&self) -> Result<()> {
        let wanted = self.images_of_kubeadm()?;
        let pause = wanted
            .iter()
            .find(|image| image.contains("/pause:"))
            .context("kubeadm names no pause image")?;
        let provisioner = format!("rancher/local-path-provisioner:{}", LOCAL_PATH.version);
        self.build_kubernetes()?;
        self.build_bare_node(pause, &provisioner)?;
        let mut inside = wanted.clone();
        inside.extend([provisioner.clone(), BUSYBOX_TAGS[0].to_owned()]);
        for image in wanted.iter().chain([&provisioner]) {
            self.build_inner(image)?;
        }
        let outcome = self.add_images(&inside);
        let made = wanted.iter().chain([&provisioner]);
        command::run(
            Command::new("docker")
                .args(["image", "rm"])
                .args(made)
                .args([PARENT, BARE, FLAT]),
        )?;
        outcome
    }

    fn binary(&self, program: &Program) -> PathBuf {
        program.path(self.cache).join(program.name)
    }

    fn images_of_kubeadm(&self) -> Result<Vec<String>> {
        let mut kubeadm = Command::new(self.binary(&KUBERNETES));
        kubeadm.arg0("kubeadm").args([
            "config",
            "images",
            "list",
            "--kubernetes-version",
            KUBERNETES.version,
        ]);
        Ok(command::output(&mut kubeadm)?
            .lines()
            .map(String::from)
            .collect())
    }

    fn build(&self, name: &str, image: &Image) -> Result<()> {
        let context = self.folder.join(name);
        std::fs::create_dir(&context).context("cannot create a build context")?;
        image::build(image, &context)
    }

    fn image<'b>(
        &self,
        tag: &str,
        dockerfile: String,
        files: Vec<(&'b str, Content<'b>)>,
    ) -> Image<'b> {
        Image {
            tags: vec![tag.to_owned()],
            key: self.key.clone(),
            dockerfile,
            args: Vec::new(),
            files,
        }
    }

    fn build_kubernetes(&self) -> Result<()> {
        let files = vec![("kubernetes", Content::Path(self.binary(&KUBERNETES)))];
        let mut image = self.image(PARENT, KUBERNETES_DOCKERFILE.into(), files);
        image.args.push(("BASE", self.base.tag.clone()));
        self.build("kubernetes", &image)
    }

    fn build_bare_node(&self, pause: &str, provisioner: &str) -> Result<()> {
        let containerd = CONTAINERD_CONFIG.replace("@PAUSE@", pause);
        let storage = STORAGE_MANIFEST.replace("@PROVISIONER@", provisioner);
        let files = vec![
            ("bin", Content::Path(CONTAINERD.path(self.cache))),
            ("cni", Content::Path(CNI.path(self.cache))),
            ("init", Content::Executable(INIT)),
            ("containerd.toml", Content::Text(&containerd)),
            ("kubelet.conf", Content::Text(KUBELET_CONFIG)),
            ("pods.conflist", Content::Text(POD_NETWORK)),
            ("default-cni.yaml", Content::Text(CNI_MANIFEST)),
            ("default-storage.yaml", Content::Text(&storage)),
            ("version", Content::Text(KUBERNETES.version)),
        ];
        let mut image = self.image(BARE, NODE_DOCKERFILE.into(), files);
        image.args.push(("BASE", PARENT.to_owned()));
        self.build("node", &image)
    }

    /// One of the images in the node's own store. The control plane's programs share a single one.
    fn build_inner(&self, reference: &str) -> Result<()> {
        let name = reference
            .rsplit('/')
            .next()
            .and_then(|last| last.split(':').next())
            .unwrap_or(reference);
        if name.starts_with("kube-") {
            return command::run(&mut command::script(FLATTEN, &[PARENT, FLAT, reference]));
        }
        let programs = [&COREDNS, &ETCD, &LOCAL_PATH, &PAUSE];
        let Some(program) = programs.into_iter().find(|program| program.name == name) else {
            bail!("kubeadm wants `{reference}`, which the lab does not build");
        };
        let dockerfile = PROGRAM_DOCKERFILE.replace("@PROGRAM@", name);
        let image = self.image(
            reference,
            dockerfile,
            vec![(program.name, Content::Path(self.binary(program)))],
        );
        self.build(name, &image)
    }

    fn add_images(&self, images: &[String]) -> Result<()> {
        let label = format!("{LABEL}={}", self.key.as_str());
        let tag = tag();
        let mut args = vec![BARE, &tag, &label];
        args.extend(images.iter().map(String::as_str));
        command::run(&mut command::script(ADD_IMAGES, &args))
    }
}
