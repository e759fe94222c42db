// Judges the test data of Kubernetes' pod security admission with Kubernetes' own code, and pods made of two of its files
// each, since the files have one fault at most. Prints JSON: the files, the distinct pods, and per pod the versions (a bit
// for each minor) at which each check refuses it and each level admits it.
package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

const (
	newest = 37
	mixed  = 200
)

type file struct {
	Path string `json:"path"`
	Pod  int    `json:"pod"`
}

type verdict struct {
	Refused  map[string]uint64 `json:"refused"`
	Admitted map[string]uint64 `json:"admitted"`
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	root := os.Args[1]
	var files []file
	var pods []map[string]any
	seen := map[string]int{}
	check(filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		data, err := os.ReadFile(path)
		check(err)
		var pod map[string]any
		check(yaml.Unmarshal(data, &pod))
		// The name is the file's.
		delete(pod["metadata"].(map[string]any), "name")
		text, err := json.Marshal(pod)
		check(err)
		at, known := seen[string(text)]
		if !known {
			at = len(pods)
			seen[string(text)] = at
			pods = append(pods, pod)
		}
		name, err := filepath.Rel(root, path)
		check(err)
		files = append(files, file{filepath.ToSlash(name), at})
		return nil
	}))
	source := rand.New(rand.NewSource(1))
	single := len(pods)
	for range mixed {
		one, other := pods[source.Intn(single)], pods[source.Intn(single)]
		pods = append(pods, merge(one, other).(map[string]any))
	}
	verdicts := make([]verdict, len(pods))
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	check(err)
	for at, pod := range pods {
		verdicts[at] = judge(evaluator, pod)
	}
	check(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"newest": newest, "files": files, "pods": pods, "verdicts": verdicts,
	}))
}

func judge(evaluator policy.Evaluator, object map[string]any) verdict {
	text, err := json.Marshal(object)
	check(err)
	var pod corev1.Pod
	check(json.Unmarshal(text, &pod))
	// As the API server does it before admission.
	for at := range pod.Spec.Volumes {
		if volume := &pod.Spec.Volumes[at]; volume.VolumeSource == (corev1.VolumeSource{}) {
			volume.EmptyDir = &corev1.EmptyDirVolumeSource{}
		}
	}
	found := verdict{map[string]uint64{}, map[string]uint64{"baseline": 0, "restricted": 0}}
	for minor := 0; minor <= newest; minor++ {
		for _, one := range policy.DefaultChecks() {
			form := -1
			for at, version := range one.Versions {
				if version.MinimumVersion.Minor() <= minor {
					form = at
				}
			}
			if form >= 0 && !one.Versions[form].CheckPod(&pod.ObjectMeta, &pod.Spec).Allowed {
				found.Refused[string(one.ID)] |= 1 << minor
			}
		}
		for _, level := range []api.Level{api.LevelBaseline, api.LevelRestricted} {
			version := api.LevelVersion{Level: level, Version: api.MajorMinorVersion(1, minor)}
			results := evaluator.EvaluatePod(version, &pod.ObjectMeta, &pod.Spec)
			if policy.AggregateCheckResults(results).Allowed {
				found.Admitted[string(level)] |= 1 << minor
			}
		}
	}
	return found
}

// Lists are merged item by item, so that one container has the faults of both.
func merge(one, other any) any {
	switch one := one.(type) {
	case map[string]any:
		other, same := other.(map[string]any)
		if !same {
			return one
		}
		merged := map[string]any{}
		for key, value := range one {
			merged[key] = value
		}
		for key, value := range other {
			if known, has := merged[key]; has {
				value = merge(known, value)
			}
			merged[key] = value
		}
		return merged
	case []any:
		other, same := other.([]any)
		if !same {
			return one
		}
		merged := append([]any{}, one...)
		for at, value := range other {
			if at < len(merged) {
				merged[at] = merge(merged[at], value)
			} else {
				merged = append(merged, value)
			}
		}
		return merged
	default:
		return other
	}
}
