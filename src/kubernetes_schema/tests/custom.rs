//! Custom resources beside the definition of their kind.

use super::*;

fn catalog() -> SchemaCatalog {
    let definition = of_yaml(
        r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: jobs.shop.example.com}
spec:
  group: shop.example.com
  scope: Namespaced
  names: {kind: Import, plural: imports}
  versions:
  - name: v1alpha1
    served: false
    storage: false
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        required: [spec]
        properties:
          spec:
            type: object
            required: [source, retries]
            x-kubernetes-validations: [{rule: 'self.retries > 0'}]
            properties:
              source: {type: string, pattern: '^s3://', minLength: 8}
              retries: {type: integer, default: 3, minimum: 0, maximum: 9}
              mode: {type: string, enum: [Full, Delta]}
              port: {x-kubernetes-int-or-string: true}
              note: {type: string, nullable: true}
              extra: {type: object, x-kubernetes-preserve-unknown-fields: true}
              labels: {type: object, additionalProperties: {type: string}}
              target:
                type: object
                oneOf: [{required: [bucket]}, {required: [table]}]
                properties: {bucket: {type: string}, table: {type: string}}
          status: {type: object}
",
    );
    SchemaCatalog::new([&definition])
}

fn verdict(api_version: &str, spec: &str) -> SchemaVerdict {
    let text =
        format!("apiVersion: {api_version}\nkind: Import\nmetadata: {{name: a}}\nspec: {spec}\n");
    catalog().check(&of_yaml(&text), &[version(33)])
}

#[test]
fn a_resource_that_fits_its_definition_is_valid() {
    let spec = "{source: s3://shop, mode: Full, port: http, note: null, extra: {a: 1}, labels: {a: b}, target: {table: t}}";
    let verdict = verdict("shop.example.com/v1", spec);
    assert_eq!(lines(&verdict), [""; 0]);
    assert_eq!(
        verdict.unchecked,
        ["the CEL rules in the definition of `Import` are not evaluated"]
    );
}

#[test]
fn what_does_not_fit_is_found_where_it_is() {
    let spec = "{source: null, retries: 10, mode: full, port: [], sauce: 1, labels: {a: 1}, target: {bucket: b, table: t}}";
    assert_eq!(
        lines(&verdict("shop.example.com/v1", spec)),
        [
            "/spec/source: the value is null (a text)",
            "/spec/retries: 10 is out of bounds (at most 9)",
            "/spec/mode: `full` is not allowed (did you mean `Full`?)",
            "/spec/port: the value is a list (an integer or a text)",
            "/spec/sauce: `sauce` is no key of `schema` (did you mean `source`?)",
            "/spec/labels/a: the value is an integer (a text)",
            "/spec/target: the value fits several parts of `oneOf` (an object)",
        ]
    );
    assert_eq!(
        lines(&verdict("shop.example.com/v1", "{source: file}")),
        [
            "/spec/source: `file` does not fit its pattern (a text like `^s3://`)",
            "/spec/source: the value has 4 characters (at least 8 characters)",
        ]
    );
    assert_eq!(
        lines(&verdict("shop.example.com/v1", "{}")),
        ["/spec/source: `source` is missing"]
    );
}

#[test]
fn a_version_that_the_definition_does_not_serve_is_told() {
    assert_eq!(
        lines(&verdict("shop.example.com/v1alpha1", "{}")),
        [
            "/apiVersion: the chart's definition of `Import` does not serve `shop.example.com/v1alpha1` (`shop.example.com/v1`)"
        ]
    );
    assert!(
        catalog().knows("shop.example.com/v1", "Import")
            && !catalog().knows("shop.example.com/v2", "Import")
    );
}
