package app

import "context"

// measure tells metrics what it is to ask for at each scrape.
func (s *Server) measure() {
	s.metrics.Database(s.store.DB.DB)
	yes := func(ok bool) float64 {
		if ok {
			return 1
		}
		return 0
	}
	s.metrics.Gauge("parlor_database_up", "Whether the database answers (1) or not (0).", func() float64 {
		return yes(s.ready.database(context.Background()) == nil)
	})
	s.metrics.Gauge("parlor_bus_up", "Whether the connection to the other nodes is there (1) or not (0).", func() float64 {
		return yes(s.bus.Healthy())
	})
	s.metrics.Gauge("parlor_ready", "Whether this node should be sent people (1) or not (0), as /readyz says.", func() float64 {
		return yes(s.ready.check(context.Background()) == nil)
	})
}
