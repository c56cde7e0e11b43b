"""The simulated platform behind `hub_procurement_zhejiang.simulator`: its books, and how it writes them."""
