//! One test for each kind of problem, comparing the whole list with file, line, code and hint.

use super::{Shop, problems};

/// The problems of a file that is right but for these lines, which come first.
fn beside_a_release(lines: &str) -> String {
    problems(&format!(
        "{lines}releases: [{{name: shop, chart: ./chart}}]\n"
    ))
}

#[test]
fn ten_problems_are_reported_at_once_in_the_order_of_their_lines() {
    let found = problems(
        "\
name: My Shop
clustr: {}
images:
  api: {context: ./apy, args: {URL: \"${forward.apo.url}\"}}
  web: {context: ./empty}
releases:
  - name: shop
    chart: ./charts
    values: [values-dve.yaml]
    images: {apj: {repository: a.b, tag: a.c}}
    generate: {secrets.key: hex}
    timeout: 3
  - chart: ./chart
forwards:
  api: 70000
  api: 5000
",
    );
    insta::assert_snapshot!(found, @r"
        devk.yaml:1: `My Shop` is not a valid name [config.value]
          use lowercase letters, digits and inner `-`, at most 63 characters, such as `my-shop`
        devk.yaml:2: unknown key `clustr` [config.unknown-key]
          did you mean `cluster`?
        devk.yaml:4: there is no build context folder `./apy` [image.context]
          name a folder; paths start at `SHOP`
        devk.yaml:4: `apo` is none of the forwards [config.variable]
          did you mean `api`?
        devk.yaml:5: the build context `./empty` has no Dockerfile [image.context]
          add one, or name it with `dockerfile:`
        devk.yaml:8: there is no chart folder `./charts` [chart.missing]
          name the folder that holds Chart.yaml; paths start at `SHOP`
        devk.yaml:9: there is no values file `values-dve.yaml` [config.path]
          name a file; paths start at `SHOP`
        devk.yaml:10: `apj` is none of the images [config.value]
          did you mean `api`?
        devk.yaml:11: unknown generator `hex` [config.value]
          write `hexN` (N hexadecimal characters), `base64N` (N random bytes) or `uuid`, such as `hex64`; N is 1 to 1024
        devk.yaml:12: `3` is not a time from 1 s to 24 h [config.value]
          write it as `180s`, `3m` or `1h30m`
        devk.yaml:13: `releases[1].name` is missing [config.missing-key]
          add `name: shop`
        devk.yaml:15: `forwards.api.port` must be a port from 1 to 65535, found 70000 [config.value]
          write, for example, `port: 5000`
        devk.yaml:16: the key `api` stands here a second time [config.value]
          the first is in line 15; keep one of them
    ");
}

#[test]
fn an_unknown_key_comes_with_the_nearest_known_one() {
    insta::assert_snapshot!(beside_a_release("imags: {}\nallow: {nodeport: true}\n"), @r"
        devk.yaml:1: unknown key `imags` [config.unknown-key]
          did you mean `images`?
        devk.yaml:2: unknown key `nodeport` in `allow` [config.unknown-key]
          did you mean `nodePort`?
    ");
}

#[test]
fn an_unknown_key_that_is_near_nothing_comes_with_all_known_ones() {
    insta::assert_snapshot!(beside_a_release("cluster: {flavour: big}\nvolumes: [data]\n"), @r"
        devk.yaml:1: unknown key `flavour` in `cluster` [config.unknown-key]
          the known keys are `provider`, `prefer`, `name`, `context`, `image`
        devk.yaml:2: unknown key `volumes` [config.unknown-key]
          the known keys are `name`, `profile`, `cluster`, `compose`, `images`, `releases`, `forwards`, `allow`, `bridge`, `check`, `ask`, `test`
    ");
}

#[test]
fn a_bridge_to_redis_is_refused_with_the_reason_and_not_suggested() {
    insta::assert_snapshot!(beside_a_release("bridge: {redis: {index: 3}}\n"), @r"
        devk.yaml:1: `bridge.redis` is not possible: Redis has no separate names for separate data: its keys would mix with Compose's [config.value]
          the cluster keeps a Redis of its own; remove the key
    ");
    insta::assert_snapshot!(beside_a_release("bridge: {mysql: {}}\n"), @r"
        devk.yaml:1: unknown key `mysql` in `bridge` [config.unknown-key]
          the known keys are `postgres`
    ");
}

#[test]
fn a_value_of_the_wrong_type_is_named() {
    let found = beside_a_release(
        "\
name: 123
cluster: kind
images: [api]
allow: {nodePort: yes}
forwards: {api: [5000], web: \"5000\"}
",
    );
    insta::assert_snapshot!(found, @r#"
        devk.yaml:1: `name` must be a text, found the number `123` [config.syntax]
          put it in quotes: "123"
        devk.yaml:2: `cluster` must be a mapping, found the text `kind` [config.syntax]
          write, for example, `cluster: {provider: kind, name: devk}`
        devk.yaml:3: `images` must be a mapping, found a list [config.syntax]
          write, for example, `images: {api: {context: ./api}}`
        devk.yaml:4: `allow.nodePort` must be `true` or `false`, found the text `yes` [config.syntax]
          write, for example, `nodePort: true`
        devk.yaml:5: `forwards.api` must be a port or a mapping, found a list [config.syntax]
          write, for example, `forwards: {api: 5000}`
        devk.yaml:5: `forwards.web.port` must be a port number, found the text `5000` [config.syntax]
          write, for example, `port: 5000`
    "#);
}

#[test]
fn a_list_where_the_file_should_be_is_named() {
    insta::assert_snapshot!(problems("- name: shop\n"), @"devk.yaml:1: the file must be a mapping, found a list [config.syntax]");
}

#[test]
fn missing_keys_are_named_with_an_example() {
    let found = problems(
        "\
images:
  api: {target: dev}
releases:
  - timeout: 3m
    images: {api: {tag: image.tag}}
forwards:
  api: {local: 5000}
  web:
",
    );
    insta::assert_snapshot!(found, @r"
        devk.yaml:2: `images.api.context` is missing [config.missing-key]
          add `context: ./api`
        devk.yaml:4: `releases[0].name` is missing [config.missing-key]
          add `name: shop`
        devk.yaml:4: `releases[0]` has none of `chart`, `manifests`, `kustomize` [config.missing-key]
          add `chart: ./chart` or `manifests: [k8s/*.yaml]` or `kustomize: overlays/dev`
        devk.yaml:5: `releases[0].images.api.repository` is missing [config.missing-key]
          add `repository: image.repository`
        devk.yaml:7: `forwards.api.port` is missing [config.missing-key]
          add `port: 5000`
        devk.yaml:8: `forwards.web` must be a port or a mapping, found nothing [config.syntax]
          write, for example, `forwards: {api: 5000}`
    ");
}

#[test]
fn a_file_without_releases_is_told_so() {
    insta::assert_snapshot!(problems(""), @r"
        devk.yaml:1: `releases` is missing [config.missing-key]
          add `releases: [{name: shop, chart: ./chart}]`
    ");
    insta::assert_snapshot!(problems("releases:\n"), @r"
        devk.yaml:1: `releases` is missing [config.missing-key]
          add `releases: [{name: shop, chart: ./chart}]`
    ");
}

#[test]
fn names_must_be_dns_labels_of_the_right_length() {
    let long = "x".repeat(54);
    let found = problems(&format!(
        "\
images: {{API_v1: {{context: ./api}}}}
releases:
  - name: {long}
    chart: ./chart
forwards: {{-: 5000, a.b: {{service: UP, port: 1}}}}
"
    ));
    insta::assert_snapshot!(found, @r"
        devk.yaml:1: `API_v1` is not a valid name [config.value]
          use lowercase letters, digits and inner `-`, at most 63 characters, such as `api-v1`
        devk.yaml:3: `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx` is not a valid name [config.value]
          use lowercase letters, digits and inner `-`, at most 53 characters, such as `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`
        devk.yaml:5: `-` is not a valid name [config.value]
          use lowercase letters, digits and inner `-`, at most 63 characters
        devk.yaml:5: `a.b` is not a valid name [config.value]
          use lowercase letters, digits and inner `-`, at most 63 characters, such as `a-b`
        devk.yaml:5: `UP` is not a valid name [config.value]
          use lowercase letters, digits and inner `-`, at most 63 characters, such as `up`
    ");
}

#[test]
fn a_key_that_stands_twice_is_found_at_every_level() {
    let found = beside_a_release(
        "\
name: shop
name: shop
cluster: {name: a, name: b}
forwards:
  api: 5000
  api: 5001
",
    );
    insta::assert_snapshot!(found, @r"
        devk.yaml:2: the key `name` stands here a second time [config.value]
          the first is in line 1; keep one of them
        devk.yaml:3: the key `name` stands here a second time [config.value]
          the first is in line 3; keep one of them
        devk.yaml:6: the key `api` stands here a second time [config.value]
          the first is in line 5; keep one of them
    ");
}

#[test]
fn two_releases_of_one_name_are_found() {
    let found =
        problems("releases:\n  - {name: shop, chart: ./chart}\n  - {name: shop, chart: ./chart}\n");
    insta::assert_snapshot!(found, @r"
        devk.yaml:3: a second release is named `shop` [config.value]
          the first is in line 2; give this one another name
    ");
}

#[test]
fn two_forwards_on_one_local_port_are_found() {
    let found = beside_a_release(
        "forwards:\n  api: {port: 1, local: 9000}\n  web: {port: 2, local: 9000}\n",
    );
    insta::assert_snapshot!(found, @r"
        devk.yaml:3: the local port 9000 is taken by the forward `api` already [config.value]
          choose another port, or leave `local` out
    ");
}

#[test]
fn ports_are_from_1_to_65535() {
    let found = beside_a_release(
        "forwards:\n  a: 0\n  b: 65536\n  c: -1\n  d: 5.5\n  e: {port: 1, local: 99999999999}\n",
    );
    insta::assert_snapshot!(found, @r"
        devk.yaml:2: `forwards.a.port` must be a port from 1 to 65535, found 0 [config.value]
          write, for example, `port: 5000`
        devk.yaml:3: `forwards.b.port` must be a port from 1 to 65535, found 65536 [config.value]
          write, for example, `port: 5000`
        devk.yaml:4: `forwards.c.port` must be a port from 1 to 65535, found -1 [config.value]
          write, for example, `port: 5000`
        devk.yaml:5: `forwards.d.port` must be a port from 1 to 65535, found 5.5 [config.value]
          write, for example, `port: 5000`
        devk.yaml:6: `forwards.e.local` must be a port from 1 to 65535, found 99999999999 [config.value]
          write, for example, `local: 15000`
    ");
}

#[test]
fn an_unknown_provider_is_named() {
    insta::assert_snapshot!(beside_a_release("cluster:\n  provider: kindd\n"), @r"
        devk.yaml:2: unknown cluster provider `kindd` [config.value]
          did you mean `kind`?
    ");
    insta::assert_snapshot!(beside_a_release("cluster:\n  provider: openshift\n"), @r"
        devk.yaml:2: unknown cluster provider `openshift` [config.value]
          the known providers are `kind`, `minikube`, `k3d`, `existing`, `auto`
    ");
}

#[test]
fn an_unknown_profile_is_named_with_those_there_are() {
    let shop = Shop::with("name: shop\nprofile: minni\nreleases: [{name: shop, chart: ./chart}]\n");
    let errors = shop.load().unwrap_err();
    assert_eq!(errors.0[0].evidence, ["built-in profiles: mini"]);
    insta::assert_snapshot!(shop.render(&errors), @r"
        devk.yaml:2: there is no profile `minni` [config.profile]
          did you mean `mini`?
    ");
}

#[test]
fn a_value_takes_one_generated_secret() {
    let found = problems(
        "\
releases:
  - name: shop
    chart: ./chart
    generate:
      api.key: hex32
      shared: {length: hex32, paths: [db.key, api.key]}
",
    );
    insta::assert_snapshot!(found, @r"
        devk.yaml:6: the value `api.key` takes the secret `api.key` already [config.value]
          leave `api.key` out of one of them
    ");
}

#[test]
fn an_unknown_generator_is_named() {
    let found = problems(
        "\
releases:
  - name: shop
    chart: ./chart
    generate:
      a.b: base32
      a..c: uuid
",
    );
    insta::assert_snapshot!(found, @r"
        devk.yaml:5: unknown generator `base32` [config.value]
          write `hexN` (N hexadecimal characters), `base64N` (N random bytes) or `uuid`, such as `hex64`; N is 1 to 1024
        devk.yaml:6: `a..c` is not a path in the chart's values [config.value]
          write the keys with dots between them, such as `api.image.tag`
    ");
}

#[test]
fn a_time_needs_its_unit() {
    insta::assert_snapshot!(problems("releases: [{name: shop, chart: ./chart, timeout: 3x}]\n"), @r"
        devk.yaml:1: `3x` is not a time from 1 s to 24 h [config.value]
          write it as `180s`, `3m` or `1h30m`
    ");
}

#[test]
fn a_missing_chart_is_named() {
    let found = problems(
        "\
releases:
  - {name: a, chart: ./nowhere}
  - {name: b, chart: ./api}
  - {name: c, chart: \"oci://example.com/chart\"}
",
    );
    insta::assert_snapshot!(found, @r"
        devk.yaml:2: there is no chart folder `./nowhere` [chart.missing]
          name the folder that holds Chart.yaml; paths start at `SHOP`
        devk.yaml:3: the chart folder `./api` has no Chart.yaml [chart.missing]
          name the folder that holds Chart.yaml; paths start at `SHOP`
        devk.yaml:4: there is no chart folder `oci://example.com/chart` [chart.missing]
          charts are installed from folders: `helm pull --untar` the chart and name its folder
    ");
}

#[test]
fn a_missing_compose_file_is_named() {
    insta::assert_snapshot!(beside_a_release("compose:\n  - values-dev.yaml\n  - compose.yaml\n"), @r"
        devk.yaml:3: there is no Compose file `compose.yaml` [config.path]
          name a file; paths start at `SHOP`
    ");
    insta::assert_snapshot!(beside_a_release("compose: compose.yaml\n"), @r"
        devk.yaml:1: `compose` must be a list, found the text `compose.yaml` [config.syntax]
          write, for example, `compose: [compose.yaml]`
    ");
}

#[test]
fn a_missing_values_file_is_named() {
    let found = problems(
        "releases:\n  - name: shop\n    chart: ./chart\n    values:\n      - values-dev.yaml\n      - none.yaml\n      - chart\n",
    );
    insta::assert_snapshot!(found, @r"
        devk.yaml:6: there is no values file `none.yaml` [config.path]
          name a file; paths start at `SHOP`
        devk.yaml:7: there is no values file `chart` [config.path]
          name a file; paths start at `SHOP`
    ");
}

#[test]
fn a_missing_context_or_dockerfile_is_named() {
    let found = beside_a_release(
        "\
images:
  a: {context: ./nowhere}
  b: {context: ./empty}
  c: {context: ./api, dockerfile: api/Dockerfile.prod}
",
    );
    insta::assert_snapshot!(found, @r"
        devk.yaml:2: there is no build context folder `./nowhere` [image.context]
          name a folder; paths start at `SHOP`
        devk.yaml:3: the build context `./empty` has no Dockerfile [image.context]
          add one, or name it with `dockerfile:`
        devk.yaml:4: there is no Dockerfile `api/Dockerfile.prod` [image.context]
          name a file; paths start at `SHOP`
    ");
}

#[test]
fn a_dockerfile_named_from_its_context_as_in_compose_is_explained() {
    let found =
        beside_a_release("images:\n  web:\n    context: ./web/\n    dockerfile: Dockerfile.dev\n");
    insta::assert_snapshot!(found, @r"
        devk.yaml:4: there is no Dockerfile `Dockerfile.dev` [image.context]
          paths start at `SHOP`: write `./web/Dockerfile.dev`
    ");
}

#[test]
fn a_release_that_takes_an_unknown_image_is_found() {
    let found = problems(
        "\
images: {api: {context: ./api}}
releases:
  - name: shop
    chart: ./chart
    images:
      apo: {repository: a, tag: b}
",
    );
    insta::assert_snapshot!(found, @r"
        devk.yaml:6: `apo` is none of the images [config.value]
          did you mean `api`?
    ");
}

#[test]
fn references_that_name_nothing_are_found_before_anything_runs() {
    let found = problems(
        "\
images:
  api:
    context: ./api
    args:
      URL: ${forward.apii.url}
      TAG: ${image.api.tag}
      HOME: ${HOME}
releases:
  - name: shop
    chart: ./chart
    set:
      url: ${forward.api.urll}
      deep: [{name: \"${project.nam}\"}]
      image: ${image.apo.reference}
      open: \"${forward.api.url\"
forwards: {api: 5000}
",
    );
    insta::assert_snapshot!(found, @r"
        devk.yaml:2: images are built from themselves, by their build arguments: `api` [config.variable]
          remove `${image.…}` from the arguments of one of them
        devk.yaml:5: `apii` is none of the forwards [config.variable]
          did you mean `api`?
        devk.yaml:12: `${forward.api.urll}` has no `urll` [config.variable]
          did you mean `url`?
        devk.yaml:13: `${project.nam}` has no `nam` [config.variable]
          did you mean `name`?
        devk.yaml:14: `apo` is none of the images [config.variable]
          did you mean `api`?
        devk.yaml:15: `${forward.api.url` is not closed [config.variable]
          add `}`
    ");
}

#[test]
fn inline_values_that_helm_would_read_differently_are_refused() {
    let found = problems(
        "releases:\n  - name: shop\n    chart: ./chart\n    set:\n      debug: no\n      mode: 0755\n      text: \"no\"\n",
    );
    insta::assert_snapshot!(found, @r"
        devk.yaml:5: an unquoted value is a boolean to Helm and a text to YAML 1.2 [config.syntax]
          put it in quotes for the text, or write the boolean or number that is meant
        devk.yaml:6: an unquoted value is octal in YAML 1.1 and decimal in YAML 1.2 [config.syntax]
          put it in quotes for the text, or write the boolean or number that is meant
    ");
}

#[test]
fn an_item_of_a_list_is_no_value_path() {
    let found = problems(
        r"
releases:
  - name: shop
    chart: ./chart
    set: {'env[0].value': x, 'note\[1]': y, nested: {'a[0]': z}}
    generate: {'users[0].password': hex32}
",
    );
    insta::assert_snapshot!(found, @r"
        devk.yaml:5: `env[0].value` names an item of a list [config.value]
          give the whole list: `set: {env: […]}`, or in a values file; `\[` stands for a bracket in a key
        devk.yaml:6: `users[0].password` names an item of a list [config.value]
          give the whole list: `set: {users: […]}`, or in a values file; `\[` stands for a bracket in a key
    ");
}

#[test]
fn a_syntax_error_has_its_line() {
    insta::assert_snapshot!(problems("name: shop\nimages: {api: {context: ./api}\nreleases: []\n"), @r"
        devk.yaml:3: not valid YAML: while parsing a flow mapping, did not find expected ',' or '}' [config.syntax]
          look around this line for an open bracket or quote, a tab, or a wrong indentation
    ");
    insta::assert_snapshot!(problems("name: shop\n\tcluster: {}\n"), @r"
        devk.yaml:1: not valid YAML: while scanning a plain scalar, found a tab [config.syntax]
          look around this line for an open bracket or quote, a tab, or a wrong indentation
    ");
    insta::assert_snapshot!(problems("name: *nobody\n"), @r"
        devk.yaml:1: not valid YAML: while parsing node, found unknown anchor [config.syntax]
          look around this line for an open bracket or quote, a tab, or a wrong indentation
    ");
}

#[test]
fn what_devk_does_not_take_of_yaml_is_named() {
    insta::assert_snapshot!(problems("name: shop\n---\nname: other\n"), @r"
        devk.yaml:2: a second YAML document starts here [config.syntax]
          keep one document and remove the `---` line
    ");
    insta::assert_snapshot!(beside_a_release("name: !reset shop\n"), @"devk.yaml:1: the YAML tag `!reset` is not supported [config.syntax]");
    insta::assert_snapshot!(beside_a_release("? [a, b]\n: c\n"), @"devk.yaml:1: a key must be a text [config.syntax]");
    insta::assert_snapshot!(beside_a_release("<<: 5\n"), @"devk.yaml:1: `<<` needs a map or a list of maps [config.syntax]");
}

#[test]
fn a_file_that_is_not_utf_8_has_its_line() {
    let shop = Shop::new();
    shop.write("devk.yaml", b"name: shop\nimages:\n  \xff\xfe: 1\n");
    insta::assert_snapshot!(shop.problems(), @r"
        devk.yaml:3: the file is not UTF-8 text [config.syntax]
          save it as UTF-8
    ");
}

#[test]
fn a_folder_without_devk_yaml_is_told_what_to_do() {
    let shop = Shop::new();
    insta::assert_snapshot!(shop.problems(), @r"
        there is no devk.yaml in `SHOP` or above it [config.missing]
          write one with `devk init`, name it with `--file FILE`, or try `devk up --profile demo`
    ");
    shop.write("devk.yml", "");
    insta::assert_snapshot!(shop.problems(), @r"
        there is no devk.yaml in `SHOP` or above it [config.missing]
          rename the file: `mv devk.yml devk.yaml`
    ");
}

#[test]
fn a_named_file_must_be_a_file() {
    let shop = Shop::new();
    let load = |file: &str| {
        let source = super::Source {
            file: Some(file.into()),
            ..shop.source()
        };
        shop.render(&super::load_with(&source, &shop.paths(), &super::PROFILES).unwrap_err())
    };
    insta::assert_snapshot!(load("none.yaml"), @r"
        none.yaml: the file cannot be read: No such file or directory (os error 2) [config.missing]
          name a file that exists, or run devk in the folder of devk.yaml
    ");
    insta::assert_snapshot!(load("chart"), @r"
        chart: this is not a file [config.missing]
          name the devk.yaml itself
    ");
}

#[test]
fn a_folder_whose_name_makes_no_name_needs_one() {
    let shop = Shop::new();
    shop.write(
        "___/devk.yaml",
        "releases: [{name: shop, chart: ../chart}]\n",
    );
    let source = super::Source {
        dir: shop.root().join("___"),
        ..shop.source()
    };
    let errors = super::load_with(&source, &shop.paths(), &super::PROFILES).unwrap_err();
    insta::assert_snapshot!(shop.render(&errors), @r"
        ___/devk.yaml:1: `name` is missing, and the folder's name has no letter or digit to make one from [config.missing-key]
          add `name: shop`
    ");
}

#[test]
fn a_project_cannot_live_in_a_namespace_of_kubernetes() {
    insta::assert_snapshot!(beside_a_release("name: default\n"), @r"
        devk.yaml:1: the project cannot be called `default`: Kubernetes has a namespace of that name [config.value]
          add another `name:`
    ");
    insta::assert_snapshot!(beside_a_release("profile: mini\nname: kube-system\n"), @r"
        devk.yaml:2: the project cannot be called `kube-system`: Kubernetes has a namespace of that name [config.value]
          add another `name:`
    ");
}

#[test]
fn problems_in_a_build_context_path_do_not_hide_each_other() {
    let found = beside_a_release(
        "images:\n  a: {context: 5, dockerfile: [x]}\n  b: {context: '', dockerfile: ''}\n  c: {}\n  d:\n",
    );
    insta::assert_snapshot!(found, @r"
        devk.yaml:2: there is no build context folder `5` [image.context]
          name a folder; paths start at `SHOP`
        devk.yaml:2: `images.a.dockerfile` must be a text, found a list [config.syntax]
          write, for example, `dockerfile: ./api/Dockerfile`
        devk.yaml:3: the text is empty [config.value]
          write, for example, `context: ./api`
        devk.yaml:3: the text is empty [config.value]
          write, for example, `dockerfile: ./api/Dockerfile`
        devk.yaml:4: `images.c.context` is missing [config.missing-key]
          add `context: ./api`
        devk.yaml:5: `images.d` must be a mapping, found nothing [config.syntax]
          write, for example, `images: {api: {context: ./api}}`
    ");
}

#[test]
fn a_context_belongs_to_an_existing_cluster_and_nothing_beside_it_does() {
    insta::assert_snapshot!(beside_a_release("cluster: {provider: existing}\n"), @r"
        devk.yaml:1: `cluster.context` is missing [config.missing-key]
          name a context of your kubeconfig: cluster: {provider: existing, context: NAME}; `kubectl config get-contexts -o name` shows those there are
    ");
    insta::assert_snapshot!(beside_a_release("cluster: {context: staging}\n"), @r"
        devk.yaml:1: `cluster.context` is for existing clusters [config.value]
          cluster: {provider: existing, context: NAME}
    ");
    insta::assert_snapshot!(beside_a_release("cluster:\n  provider: existing\n  context: staging\n  name: devk\n"), @r"
        devk.yaml:4: an existing cluster has no `name` for devk to choose [config.value]
          remove the key; `context` says which one it is
    ");
}

#[test]
fn a_secret_has_one_source_and_what_is_no_variable_or_agent_is_not_shown_as_one() {
    let found = beside_a_release(
        "\
images:
  api:
    context: ./api
    secrets:
      npmrc: {fil: ~/.npmrc}
      both: {file: a, environment: B}
      a,b: {file: a}
      token: {environment: \"$TOKEN\"}
      value: {environment: hunter2=}
    ssh: [defualt, git, =a, default, default]
    secret: {}
",
    );
    insta::assert_snapshot!(found, @r"
        devk.yaml:5: unknown key `fil` in `images.api.secrets.npmrc` [config.unknown-key]
          did you mean `file`?
        devk.yaml:5: `images.api.secrets.npmrc` has none of `file`, `environment` [config.missing-key]
          add `file: ~/.npmrc` or `environment: NPM_TOKEN`
        devk.yaml:6: `images.api.secrets.both` has `file` and `environment`, and can have one of them [config.value]
          keep one of them, or write two entries with names of their own
        devk.yaml:7: `a,b` is not an id that a Dockerfile can mount [config.value]
          use letters, digits, `_`, `.` and `-`, such as `npmrc`
        devk.yaml:8: `environment` of a secret is not the name of an environment variable [config.value]
          write `environment: TOKEN`
        devk.yaml:9: `environment` of a secret is not the name of an environment variable [config.value]
          name the variable and not its value: `environment: NPM_TOKEN`
        devk.yaml:10: `defualt` names no SSH agent [config.value]
          did you mean `default`?
        devk.yaml:10: `git` names no SSH agent [config.value]
          write `default` for the agent of SSH_AUTH_SOCK, or `ID=SOCKET`
        devk.yaml:10: `=a` names no SSH agent [config.value]
          write `default` for the agent of SSH_AUTH_SOCK, or `ID=SOCKET`
        devk.yaml:10: a second SSH agent has the id `default` [config.value]
          the first is in line 10; remove one
        devk.yaml:11: unknown key `secret` in `images.api` [config.unknown-key]
          did you mean `secrets`?
    ");
}
