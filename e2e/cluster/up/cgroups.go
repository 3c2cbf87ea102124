package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	cgroups = "/sys/fs/cgroup"
	// ownCgroup holds the nodes' pods in every hierarchy, so that what is left of a killed run is found.
	ownCgroup = "portolan-e2e"
)

// hierarchies are the folders that cgroups are made in: one for each controller (v1), or a single one (v2).
func hierarchies() ([]string, error) {
	if _, err := os.Stat(filepath.Join(cgroups, "cgroup.controllers")); err == nil {
		return []string{cgroups}, nil
	}
	entries, err := os.ReadDir(cgroups)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, entry := range entries {
		// Joint controllers have links to one folder.
		if entry.IsDir() {
			found = append(found, filepath.Join(cgroups, entry.Name()))
		}
	}
	return found, nil
}

// makeCgroup makes the cgroup of a node in every hierarchy.
func makeCgroup(node string) error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range all {
		folder := hierarchy
		for _, name := range []string{ownCgroup, node} {
			enable(folder)
			parent := folder
			folder = filepath.Join(folder, name)
			if err := os.Mkdir(folder, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
			// A cpuset of v1 begins empty and takes no process so.
			for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
				if filepath.Base(hierarchy) != "cpuset" {
					continue
				}
				value, err := os.ReadFile(filepath.Join(parent, file))
				if err != nil {
					return err
				}
				if err := os.WriteFile(filepath.Join(folder, file), value, 0o644); err != nil {
					return err
				}
			}
		}
		enable(folder)
	}
	return nil
}

// enable hands the controllers of v2 on to the cgroups below; v1 has no such file.
func enable(folder string) {
	list, err := os.ReadFile(filepath.Join(folder, "cgroup.controllers"))
	if err != nil {
		return
	}
	for _, controller := range strings.Fields(string(list)) {
		// One that cannot be handed on is missed by the kubelet, which says so.
		_ = os.WriteFile(filepath.Join(folder, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
	}
}

// removeCgroups removes what a run made. Processes that are just being killed still hold theirs for a moment.
func removeCgroups() error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range all {
		top := filepath.Join(hierarchy, ownCgroup)
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			removeBelow(top)
			if _, err := os.Stat(top); errors.Is(err, fs.ErrNotExist) {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("%s is still in use", top)
			}
		}
	}
	return nil
}

func removeBelow(folder string) {
	entries, _ := os.ReadDir(folder)
	for _, entry := range entries {
		if entry.IsDir() {
			removeBelow(filepath.Join(folder, entry.Name()))
		}
	}
	_ = os.Remove(folder)
}
