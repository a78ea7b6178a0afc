package resolvers

import "net/http"

func upgrades(*http.Request) bool { return false }

func (h *handler) connect(http.ResponseWriter, *http.Request) {}
